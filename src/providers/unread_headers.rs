//! Headers of files that are known and not read, so that their refusal says what they are and what to send instead.
//!
//! Microsoft's cost details in another language than English: only names that end with the English one in brackets are
//! read, because translated names differ from release to release and a wrong guess would be wrong money. IBM's own usage
//! reports: IBM's charges are read as FOCUS only.

use super::Problem;

/// A language and words that only its cost details have in their header, in lower case.
const LANGUAGES: [(&str, &[&str]); 12] = [
    ("German", &["ressourcengruppe", "ressourcenstandort", "abrechnungszeitraum", "abrechnungswährung", "kosten"]),
    ("French", &["groupe de ressources", "coût", "id d'abonnement", "période de facturation"]),
    ("Spanish", &["grupo de recursos", "suscripción", "período de facturación", "costo en moneda"]),
    ("Portuguese", &["grupo de recursos", "assinatura", "subscrição", "período de cobrança", "custo"]),
    ("Italian", &["gruppo di risorse", "sottoscrizione", "costo", "valuta di fatturazione"]),
    ("Dutch", &["resourcegroep", "abonnements-id", "factureringsperiode", "factureringsvaluta"]),
    ("Swedish", &["resursgrupp", "prenumeration", "faktureringsperiod", "kostnad"]),
    ("Polish", &["grupa zasobów", "subskrypcja", "okres rozliczeniowy", "koszt"]),
    ("Russian", &["группа ресурсов", "подписка", "стоимость"]),
    ("Japanese", &["リソース グループ", "サブスクリプション", "コスト"]),
    ("Korean", &["리소스 그룹", "구독", "비용"]),
    ("Chinese", &["资源组", "订阅", "成本", "資源群組", "訂用帳戶"]),
];
/// Words in a header that tell a language; one may be a name that somebody gave to a column.
const MIN_WORDS: usize = 2;

/// Columns of IBM's account summary and instance usage reports (cloud.ibm.com/docs/account?topic=account-
/// understand-reports), without blanks, underscores and capital letters.
const IBM: [&str; 8] = [
    "accountownerid",
    "billingmonth",
    "currencyrate",
    "billablecost",
    "nonbillablecost",
    "ratedcost",
    "billableratedcost",
    "billingcountrycode",
];
/// As for languages.
const MIN_IBM_COLUMNS: usize = 2;

/// Returns what is to be said of a header that no format has, where it is known.
pub fn explain(names: &[String], line: u64) -> Option<Problem> {
    let simple = |name: &String| name.to_lowercase().replace([' ', '_', '-'], "");
    let ibm = names.iter().filter(|name| IBM.contains(&simple(name).as_str()));
    if ibm.count() >= MIN_IBM_COLUMNS {
        let rule = "this is an IBM Cloud usage report; IBM's charges are read as FOCUS only: send the FOCUS export";
        return Some(Problem::new(line, names.first().map(String::as_str), None, rule));
    }
    let (language, found) = language_of(names)?;
    let rule = format!(
        "this seems to be an Azure cost file with a header in {language}; set the portal's language to English and export \
         again, or send FOCUS"
    );
    Some(Problem::new(line, Some(found), None, rule))
}

/// Returns the language that most words tell, and the first column one of them is in.
fn language_of(names: &[String]) -> Option<(&'static str, &str)> {
    let lower: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
    let count = |words: &&[&str]| words.iter().filter(|word| lower.iter().any(|name| name.contains(**word))).count();
    // The last of the greatest would win otherwise; shared words are listed under the language that has more of them.
    let (language, words) = LANGUAGES.iter().rev().max_by_key(|(_, words)| count(words))?;
    if count(words) < MIN_WORDS {
        return None;
    }
    let has_word = |name: &&String| words.iter().any(|word| name.to_lowercase().contains(word));
    Some((language, names.iter().find(has_word)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(header: &str) -> Option<String> {
        let names: Vec<_> = header.split(',').map(str::to_owned).collect();
        explain(&names, 1).map(|problem| problem.to_string())
    }

    #[test]
    fn a_header_in_another_language_is_refused_naming_it() {
        for (header, language) in [
            ("Abonnement-ID,Ressourcengruppe,Datum,Kosten,Währung", "German"),
            ("ID d'abonnement,Groupe de ressources,Date,Coût,Devise", "French"),
            ("Id. de suscripción,Grupo de recursos,Fecha,Costo,Moneda", "Spanish"),
            ("ID da assinatura,Grupo de recursos,Data,Custo,Moeda", "Portuguese"),
            ("ID sottoscrizione,Gruppo di risorse,Data,Costo,Valuta", "Italian"),
            ("サブスクリプション ID,リソース グループ,日付,コスト,通貨", "Japanese"),
            ("订阅 ID,资源组,日期,成本,货币", "Chinese"),
        ] {
            let shown = explained(header).expect("explained");
            assert!(
                shown.starts_with("line 1, column ") && shown.contains(&format!("header in {language};")),
                "{shown}"
            );
        }
    }

    #[test]
    fn a_native_ibm_report_is_refused_with_the_word_focus() {
        for header in [
            "Account Owner ID,Account Name,Billing Month,Currency Rate,Created Time,Version",
            "account_id,month,billing_country_code,billable_cost,non_billable_cost",
        ] {
            let shown = explained(header).expect("explained");
            assert!(shown.contains("IBM's charges are read as FOCUS only"), "{shown}");
        }
    }

    #[test]
    fn an_unknown_header_is_not_explained() {
        for header in ["", "when,what,how much", "Kosten,what", "BilledCost,Billing Month", "lineItem/UsageAccountId"] {
            assert_eq!(explained(header), None, "{header}");
        }
    }
}
