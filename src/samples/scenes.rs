//! What each provider sells and how it writes: one entry per provider.

/// How a provider names the accounts of its customers.
#[derive(Clone, Copy)]
pub(super) enum AccountIds {
    /// Twelve digits; zeros in front count.
    Digits,
    Uuid,
    /// A name and six digits.
    Project,
    /// Oracle's cloud id.
    Ocid,
    Hex,
    /// `sub-` and a number.
    Plain,
}

/// One service.
pub(super) struct Service {
    pub(super) name: &'static str,
    /// FOCUS category and sub category.
    pub(super) category: &'static str,
    pub(super) subcategory: &'static str,
    /// As the provider's own formats name it.
    pub(super) code: &'static str,
    pub(super) usage_type: &'static str,
    pub(super) unit: &'static str,
    pub(super) resource_type: &'static str,
}

/// A provider's side of a sample.
pub(super) struct Scene {
    pub(super) provider: &'static str,
    pub(super) name: &'static str,
    /// Of three payers of four, and of the fourth.
    pub(super) currencies: [&'static str; 2],
    pub(super) account_ids: AccountIds,
    pub(super) billing_account_type: &'static str,
    pub(super) sub_account_type: &'static str,
    /// The median cost is about 1.4 · 2^`cost_bits` · 10^-`cost_decimals`.
    pub(super) cost_bits: u32,
    pub(super) cost_decimals: u32,
    /// Costs below 10^-this are written with an exponent.
    pub(super) exponent_below: Option<u32>,
    pub(super) services: &'static [Service],
    /// Id and name.
    pub(super) regions: &'static [(&'static str, &'static str)],
}

/// Finds a provider's scene.
pub(super) fn find(provider: &str) -> Option<&'static Scene> {
    ALL.iter().find(|scene| scene.provider == provider)
}

const fn service(
    [name, code, category, subcategory]: [&'static str; 4],
    [usage_type, unit, resource_type]: [&'static str; 3],
) -> Service {
    Service { name, category, subcategory, code, usage_type, unit, resource_type }
}

const AWS: &[Service] = &[
    service(
        ["Amazon Elastic Compute Cloud", "AmazonEC2", "Compute", "Virtual Machines"],
        ["BoxUsage:m6i.large", "Hours", "Instance"],
    ),
    service(
        ["Amazon Simple Storage Service", "AmazonS3", "Storage", "Object Storage"],
        ["TimedStorage-ByteHrs", "GB-Months", "Bucket"],
    ),
    service(["AWS Lambda", "AWSLambda", "Compute", "Serverless Compute"], ["Request", "Requests", "Function"]),
    service(
        ["Amazon Relational Database Service", "AmazonRDS", "Databases", "Relational Databases"],
        ["InstanceUsage:db.r6g.xl", "Hours", "Database"],
    ),
    service(
        ["AmazonCloudWatch", "AmazonCloudWatch", "Management and Governance", "Observability"],
        ["DataProcessing-Bytes", "GB", "Log Group"],
    ),
    service(
        ["Amazon Virtual Private Cloud", "AmazonVPC", "Networking", "Network Connectivity"],
        ["NatGateway-Bytes", "GB", "NAT Gateway"],
    ),
];
const AZURE: &[Service] = &[
    service(
        ["Virtual Machines", "Virtual Machines", "Compute", "Virtual Machines"],
        ["D4s v5", "1 Hour", "microsoft.compute/virtualmachines"],
    ),
    service(
        ["Storage", "Storage", "Storage", "Object Storage"],
        ["Hot LRS Data Stored", "1 GB/Month", "microsoft.storage/storageaccounts"],
    ),
    service(
        ["SQL Database", "SQL Database", "Databases", "Relational Databases"],
        ["vCore", "1 Hour", "microsoft.sql/servers/databases"],
    ),
    service(
        ["Bandwidth", "Bandwidth", "Networking", "Network Connectivity"],
        ["Standard Data Transfer Out", "1 GB", "microsoft.network/publicipaddresses"],
    ),
    service(
        ["Azure Monitor", "Azure Monitor", "Management and Governance", "Observability"],
        ["Analytics Logs Data Ingestion", "1 GB", "microsoft.operationalinsights/workspaces"],
    ),
];
const SEATS: &[Service] = &[
    service(
        ["Microsoft 365 E3", "CFQ7TTC0LFLX:0001", "Business Applications", "Productivity and Collaboration"],
        ["P1Y", "Seats", "Licence"],
    ),
    service(
        ["Exchange Online (Plan 1)", "CFQ7TTC0LH16:0001", "Business Applications", "Productivity and Collaboration"],
        ["P1M", "Seats", "Licence"],
    ),
    service(
        ["Visio, Plan 2", "CFQ7TTC0HD32:0001", "Business Applications", "Productivity and Collaboration"],
        ["P1M", "Seats", "Licence"],
    ),
];
const GOOGLE: &[Service] = &[
    service(
        ["Compute Engine", "6F81-5844-456A", "Compute", "Virtual Machines"],
        ["N2 Instance Core running in Frankfurt", "hour", "compute.googleapis.com/Instance"],
    ),
    service(
        ["Cloud Storage", "95FF-2EF5-5EA1", "Storage", "Object Storage"],
        ["Standard Storage Europe Multi-region", "gibibyte month", "storage.googleapis.com/Bucket"],
    ),
    service(
        ["BigQuery", "24E6-581D-38E5", "Analytics", "Data Warehouses"],
        ["Analysis (eu)", "tebibyte", "bigquery.googleapis.com/Dataset"],
    ),
    service(
        ["Cloud Run", "152E-C115-5142", "Compute", "Serverless Compute"],
        ["CPU Allocation Time", "second", "run.googleapis.com/Service"],
    ),
];
const ORACLE: &[Service] = &[
    service(
        ["COMPUTE", "B93113", "Compute", "Virtual Machines"],
        ["Compute - Standard - E4 - OCPU", "OCPU HOURS", "instance"],
    ),
    service(["BLOCK_STORAGE", "B91961", "Storage", "Block Storage"], ["Block Volume - Storage", "GB_MONTH", "volume"]),
    service(
        ["AUTONOMOUS_DATABASE", "B95702", "Databases", "Relational Databases"],
        ["Autonomous Transaction Processing - ECPU", "ECPU HOURS", "autonomousdatabase"],
    ),
];
const IBM: &[Service] = &[
    service(
        ["Virtual Server for VPC", "is.instance", "Compute", "Virtual Machines"],
        ["INSTANCE_HOURS_MULTI_TENANT", "Hours", "instance"],
    ),
    service(
        ["Cloud Object Storage", "cloud-object-storage", "Storage", "Object Storage"],
        ["SMART_TIER_HOT_STORAGE", "GB-Months", "bucket"],
    ),
];

const WORLD: &[(&str, &str)] = &[
    ("eu-central-1", "Europe (Frankfurt)"),
    ("eu-west-1", "Europe (Ireland)"),
    ("us-east-1", "US East (N. Virginia)"),
    ("ap-southeast-1", "Asia Pacific (Singapore)"),
    ("sa-east-1", "South America (São Paulo)"),
];
const AZURE_REGIONS: &[(&str, &str)] =
    &[("westeurope", "West Europe"), ("germanywestcentral", "Germany West Central"), ("eastus", "East US")];

const ALL: &[Scene] = &[
    Scene {
        provider: "aws",
        name: "AWS",
        currencies: ["USD", "USD"],
        account_ids: AccountIds::Digits,
        billing_account_type: "Payer Account",
        sub_account_type: "Linked Account",
        cost_bits: 28,
        cost_decimals: 10,
        exponent_below: Some(4),
        services: AWS,
        regions: WORLD,
    },
    Scene {
        provider: "google",
        name: "Google Cloud",
        currencies: ["USD", "EUR"],
        account_ids: AccountIds::Project,
        billing_account_type: "Billing Account",
        sub_account_type: "Project",
        cost_bits: 51,
        cost_decimals: 17,
        exponent_below: Some(4),
        services: GOOGLE,
        regions: WORLD,
    },
    Scene {
        provider: "ibm",
        name: "IBM Cloud",
        currencies: ["USD", "EUR"],
        account_ids: AccountIds::Hex,
        billing_account_type: "Enterprise",
        sub_account_type: "Account",
        cost_bits: 25,
        cost_decimals: 8,
        exponent_below: None,
        services: IBM,
        regions: WORLD,
    },
    Scene {
        provider: "microsoft",
        name: "Microsoft",
        currencies: ["EUR", "GBP"],
        account_ids: AccountIds::Uuid,
        billing_account_type: "Billing Profile",
        sub_account_type: "Subscription",
        cost_bits: 46,
        cost_decimals: 15,
        exponent_below: Some(3),
        services: AZURE,
        regions: AZURE_REGIONS,
    },
    Scene {
        provider: "microsoft-nce",
        name: "Microsoft",
        currencies: ["EUR", "EUR"],
        account_ids: AccountIds::Uuid,
        billing_account_type: "Partner",
        sub_account_type: "Subscription",
        cost_bits: 15,
        cost_decimals: 2,
        exponent_below: None,
        services: SEATS,
        regions: AZURE_REGIONS,
    },
    Scene {
        provider: "oracle",
        name: "Oracle Cloud Infrastructure",
        currencies: ["USD", "USD"],
        account_ids: AccountIds::Ocid,
        billing_account_type: "Tenancy",
        sub_account_type: "Compartment",
        cost_bits: 33,
        cost_decimals: 12,
        exponent_below: Some(2),
        services: ORACLE,
        regions: WORLD,
    },
    Scene {
        provider: "focus",
        name: "Nimbus Wolke GmbH",
        currencies: ["EUR", "CHF"],
        account_ids: AccountIds::Plain,
        billing_account_type: "Contract",
        sub_account_type: "Tenant",
        cost_bits: 28,
        cost_decimals: 10,
        exponent_below: Some(3),
        services: IBM,
        regions: WORLD,
    },
];

/// Returns every provider's scene.
pub(super) fn all() -> &'static [Scene] {
    ALL
}
