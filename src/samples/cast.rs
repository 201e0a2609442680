//! Who the charges of a sample are of: payers, accounts, and the customers they are assigned to.
//!
//! Account ids and customers depend on the seed and the number of customers alone, so that the files of several
//! providers, made of one seed, have one directory.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    CAST, SampleOptions,
    random::Random,
    scenes::{self, AccountIds, Scene},
};

/// One payer for so many customers.
const CUSTOMERS_PER_PAYER: usize = 50;
const CUSTOMER_NAMES: [&str; 6] = [
    "Panadería Núñez {} S.L.",
    "Müller & Söhne {} GmbH",
    "Harbour, Finch & Co. {} Ltd",
    "Atelier Lumière {} Sàrl",
    "株式会社クラウド{}",
    "Łódź Logistyka {} Sp. z o.o.",
];
const LANGUAGES: [&str; 6] = ["es", "de", "en-GB", "fr", "ja", "pl"];
const ACCOUNT_NAMES: [&str; 6] =
    ["prod-platform", "データ分析", "Größe, Maß & Ziel", "dev \"sandbox\"", "bases-de-données", "staging"];

/// A payer at the provider.
pub(super) struct Payer {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) invoice_id: String,
    pub(super) currency: &'static str,
}

/// An account of a customer.
pub(super) struct Account {
    pub(super) number: usize,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) payer: usize,
}

/// The payers and accounts of one provider.
pub(super) struct Cast {
    pub(super) payers: Vec<Payer>,
    pub(super) accounts: Vec<Account>,
}

impl Cast {
    pub(super) fn new(scene: &Scene, seed: u64, customers: u32) -> Self {
        let customers = usize::try_from(customers).unwrap_or_default().max(1);
        // Another stream for each provider: the accounts of two must not be the same.
        let purpose = scene.provider.bytes().fold(CAST, |sum, byte| sum.wrapping_mul(257) + u64::from(byte));
        let mut random = Random::new(seed, purpose);
        let payers: Vec<Payer> =
            (0..customers.div_ceil(CUSTOMERS_PER_PAYER)).map(|number| payer(scene, number, &mut random)).collect();
        // Every customer has an account, every other one a second.
        let accounts = (0..customers + customers / 2).map(|number| Account {
            number,
            id: account_id(scene.account_ids, number, &mut random),
            name: format!("{} {number}", random.pick(&ACCOUNT_NAMES).copied().unwrap_or_default()),
            payer: number % payers.len(),
        });
        Self { accounts: accounts.collect(), payers }
    }
}

fn payer(scene: &Scene, number: usize, random: &mut Random) -> Payer {
    let [usual, other] = scene.currencies;
    Payer {
        id: account_id(scene.account_ids, number, random),
        name: format!("Nube Reventa, S.L. – payer {}", number + 1),
        invoice_id: format!("INV-{:06}", random.below(1_000_000)),
        currency: if number % 4 == 3 { other } else { usual },
    }
}

fn account_id(ids: AccountIds, number: usize, random: &mut Random) -> String {
    match ids {
        // The number makes them differ, the zeros in front are there to be kept.
        AccountIds::Digits => format!("{:05}{number:07}", random.below(40_000)),
        AccountIds::Uuid => uuid(random).to_string(),
        AccountIds::Project => format!("shop-{number}-{:06}", random.below(1_000_000)),
        AccountIds::Ocid => format!("ocid1.compartment.oc1..{:016x}{:016x}", random.bits(), random.bits()),
        AccountIds::Hex => format!("{:016x}{:016x}", random.bits(), random.bits()),
        AccountIds::Plain => format!("sub-{number:06}"),
    }
}

fn uuid(random: &mut Random) -> Uuid {
    uuid::Builder::from_random_bytes((u128::from(random.bits()) << 64 | u128::from(random.bits())).to_be_bytes())
        .into_uuid()
}

/// Describes a reseller and its customers, with the accounts that every provider's sample of this seed has: a document
/// for `billrunner directory`.
pub fn directory(options: &SampleOptions) -> Value {
    let customers = usize::try_from(options.customers).unwrap_or_default().max(1);
    let casts: Vec<_> =
        scenes::all().iter().map(|scene| (scene.provider, Cast::new(scene, options.seed, options.customers))).collect();
    let mut random = Random::new(options.seed, CAST);
    let reseller_id = uuid(&mut random);
    let customer = |number: usize, random: &mut Random| {
        let accounts: Vec<Value> = casts
            .iter()
            .flat_map(|(provider, cast)| {
                let own = cast.accounts.iter().skip(number).step_by(customers);
                own.map(move |account| json!({ "provider": provider, "account_id": account.id }))
            })
            .collect();
        let kind = number % CUSTOMER_NAMES.len();
        let name = CUSTOMER_NAMES.get(kind).copied().unwrap_or_default().replace("{}", &number.to_string());
        json!({
            "id": uuid(random),
            "name": name,
            "language": LANGUAGES.get(kind),
            "tax_id": format!("XX{number:09}"),
            "address": format!("Calle Mayor {}\n28013 Madrid", number + 1),
            "country": "ES",
            "contacts": [{ "email": format!("billing@customer-{number}.example"), "name": "Ana Núñez" }],
            "accounts": accounts,
            "tax_rates": [{ "name": "IVA", "rate": "0.21" }],
        })
    };
    let list: Vec<Value> = (0..customers).map(|number| customer(number, &mut random)).collect();
    json!({
        "reseller": {
            "id": reseller_id,
            "name": "Nube Reventa S.L.",
            "tax_id": "ESB12345674",
            "address": "Calle Mayor 1\n28013 Madrid\nEspaña",
            "country": "ES",
            "email": "billing@nube-reventa.example",
        },
        "customers": list,
        "markups": [{ "rate": "0.10" }],
    })
}
