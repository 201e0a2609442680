//! Tells which native columns say what something cost the reseller, and so are never kept for the customer's detail.
//!
//! Columns that a charge has no field for are kept as `x_columns`, which the detailed CSV prints. Providers' own files put
//! prices, costs, exchange rates and partner discounts among them: the reseller's side, not the customer's.

/// Parts of the names of columns that hold money, or what money is computed with.
const MONEY: [&str; 9] = ["cost", "price", "rate", "total", "credit", "discount", "pretax", "margin", "currency"];
/// Names that hold one of those and are about something else.
const NOT_MONEY: [&str; 3] = ["costcenter", "costallocationrulename", "isazurecrediteligible"];

/// Tells whether a column, by its name in lower case and without any path before it, is about money.
pub fn is_money(name: &str) -> bool {
    !NOT_MONEY.contains(&name) && MONEY.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_prices_rates_and_totals_are_the_resellers() {
        for name in
            ["cost", "pretaxcost", "effectiveprice", "paygprice", "exchangeratepricingtobilling", "subtotal", "mycost"]
        {
            assert!(is_money(name), "{name}");
        }
        for name in ["costcenter", "meterid", "invoiceid", "overageflag", "referenceno", "chargetype", "term"] {
            assert!(!is_money(name), "{name}");
        }
    }
}
