//! Where a locale sets the currency's code, the minus sign of an amount and the percent sign: CLDR 48.2.0.
//!
//! Written by `bin/cldr-patterns`, as ICU4X has no stable formatter for amounts and percentages yet. From
//! `currencyFormats` (`standard-alphaNextToNumber`, else `standard`) and `percentFormats`, for Latin digits; a locale
//! that writes like the one its tag continues is left out.

/// How some locales write amounts and percentages: `n` stands for the number, `¤` for the code.
pub(super) struct Patterns {
    pub(super) amount: &'static str,
    pub(super) negative: &'static str,
    pub(super) percent: &'static str,
    /// Separated by blanks.
    pub(super) tags: &'static str,
}

/// All that locales do; the first is what CLDR has for languages it does not know.
pub(super) const PATTERNS: [Patterns; 27] = [
    Patterns {
        amount: "¤\u{a0}n",
        negative: "-¤\u{a0}n",
        percent: "n%",
        tags: "aa af agq ak am ann apc arn as az-Arab bal bem bew bez bgc bho blt bm bn-IN bo brx bss byn cad cch ccp ceb cgg cho chr cic ckb cop csw cy dav de-LI dje doi dv ebu ee en es-419 es-AR es-BO es-BR es-BZ es-CO es-CR es-CU es-DO es-GT es-HN es-MX es-NI es-PA es-PE es-PR es-SV es-US es-UY ff-Adlm fil frr fur ga gaa gd gez gn gu guz gv ha haw hi hnj ia id ig ii io iu ja jbo jgo jmc jv kaa kab kaj kam kcg kde kek ken kgp khq ki kk-Arab kkj kln kn ko kok kpe ks ksb ku-Arab kw kxv la lag lg lkt lmo lrc ltg lu luo lzz mai mas mdf mer mfe mg mgh mgo mhn mi mic ml mn mni moh mr ms mt mua mus mww myv mzn naq nd ne nnh nqo nr nso nus nv ny nyn oka om or os osa pa pap pcm pi pis pt quc raj rhg rm rof rw rwk sa saq sat sbp scn sd sdh seh ses sgs shi shn si sid skr sma smj sms sn so ss ssy st su suz sw syr ta te teo th ti tig tn to tok trv trw ts twq tyv ug und vai ve vo vun wa wae wal wbp wo xh xnr yi yo yrl yue za zh zu",
    },
    Patterns {
        amount: "n\u{a0}¤",
        negative: "-n\u{a0}¤",
        percent: "n%",
        tags: "ab an asa ast az ba bg bn bs co cu dyo el en-150 en-BE en-CZ en-EE en-ES en-FR en-GE en-HU en-IT en-LT en-LV en-PL en-PT en-RO en-SI en-SK en-UA ewo ff fr-CH hu hy is it ka kea kk km ksf ky lij lld ln lv my nmg pl pms prg pt-AO pt-CH pt-CV pt-GQ pt-GW pt-LU pt-MO pt-MZ pt-PT pt-ST pt-TL rif sah sc sq sr szl tg tpi tzm uk uz vi vmw xog yav",
    },
    Patterns {
        amount: "n\u{a0}¤",
        negative: "-n\u{a0}¤",
        percent: "n\u{a0}%",
        tags: "bas be br bua ca ce cs cv da de dsb dua en-DE en-DK en-FI en-NO en-SE es fr gl hsb ht lb mk nds ro ru sk smn tk tt",
    },
    Patterns {
        amount: "n\u{a0}¤",
        negative: "\u{2212}n\u{a0}¤",
        percent: "n\u{a0}%",
        tags: "fi fo gsw hr ksh lt nb nn no se sl sv",
    },
    Patterns {
        amount: "¤\u{a0}n", negative: "¤-n", percent: "n%", tags: "de-CH en-CH es-CL es-EC es-VE it-CH lo sg"
    },
    Patterns {
        amount: "¤\u{a0}n", negative: "-¤\u{a0}n", percent: "n\u{a0}%", tags: "de-AT dz en-AT es-GQ qu rn zgh"
    },
    Patterns { amount: "¤\u{a0}n", negative: "¤\u{a0}-n", percent: "n%", tags: "en-NL es-PY ie nl" },
    Patterns { amount: "n\u{202f}¤", negative: "-n\u{202f}¤", percent: "n%", tags: "eo vec" },
    Patterns { amount: "¤\u{a0}n", negative: "\u{200e}-¤\u{a0}n", percent: "n%", tags: "pa-Arab ur" },
    Patterns { amount: "¤\u{a0}n", negative: "\u{200e}\u{2212}¤\u{a0}n", percent: "n%", tags: "fa-AF ps" },
    Patterns {
        amount: "\u{200f}n\u{a0}\u{200f}¤",
        negative: "\u{200f}\u{200e}-n\u{a0}\u{200f}¤",
        percent: "n\u{66a}",
        tags: "ar-SA ar-SO",
    },
    Patterns { amount: "n\u{a0}¤", negative: "-n\u{a0}¤", percent: "%n", tags: "ku" },
    Patterns { amount: "n\u{a0}¤", negative: "-n\u{a0}¤", percent: "n\u{202f}%", tags: "oc" },
    Patterns { amount: "n\u{a0}¤", negative: "\u{200e}\u{2212}n\u{a0}¤", percent: "n%", tags: "uz-Arab" },
    Patterns { amount: "n\u{a0}¤", negative: "\u{2212}n\u{a0}¤", percent: "%\u{a0}n", tags: "eu" },
    Patterns { amount: "n\u{a0}¤", negative: "\u{2212}n\u{a0}¤", percent: "n%", tags: "et" },
    Patterns { amount: "¤n", negative: "-¤n", percent: "n%", tags: "en-ZA" },
    Patterns { amount: "¤\u{a0}n", negative: "-¤\u{a0}n", percent: "%n", tags: "tr" },
    Patterns { amount: "¤\u{a0}n", negative: "-¤\u{a0}n", percent: "n\u{66a}", tags: "bgn" },
    Patterns { amount: "¤\u{a0}n", negative: "¤-n", percent: "n\u{a0}%", tags: "kl" },
    Patterns { amount: "¤\u{a0}n", negative: "¤-\u{a0}n", percent: "n%", tags: "luy" },
    Patterns { amount: "¤\u{a0}n", negative: "¤\u{a0}-n", percent: "%\u{a0}n", tags: "blo" },
    Patterns { amount: "¤\u{a0}n", negative: "¤\u{a0}n-", percent: "n%", tags: "fy" },
    Patterns { amount: "\u{200e}¤\u{a0}n", negative: "-\u{200e}¤\u{a0}n", percent: "n%", tags: "bqi" },
    Patterns { amount: "\u{200e}¤\u{a0}n", negative: "\u{200e}\u{2212}\u{200e}¤\u{a0}n", percent: "n%", tags: "fa" },
    Patterns {
        amount: "\u{200f}n\u{a0}\u{200f}¤",
        negative: "\u{200f}\u{200e}-n\u{a0}\u{200f}¤",
        percent: "n%",
        tags: "he",
    },
    Patterns {
        amount: "\u{200f}n\u{a0}\u{200f}¤",
        negative: "\u{200f}\u{200e}-n\u{a0}\u{200f}¤",
        percent: "n\u{200e}%\u{200e}",
        tags: "ar",
    },
];

/// Locales whose amounts have another mark than their other numbers: tag, mark of numbers, mark of amounts.
pub(super) const MARKS_OF_AMOUNTS: [(&str, &str, &str); 2] = [("de-AT", "\u{a0}", "."), ("fr-CH", ",", ".")];
