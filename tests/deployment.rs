//! What `ops/` holds fits the program: every command and setting named there exists, and the manifests are what they claim.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use billrunner::config::VARIABLES;
use regex::Regex;
use yaml_rust2::{Yaml, YamlLoader};

const PROJECT: &str = env!("CARGO_MANIFEST_DIR");

fn read(file: &str) -> Result<String> {
    fs::read_to_string(Path::new(PROJECT).join(file)).with_context(|| file.to_owned())
}

fn files(folder: &str, extension: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(Path::new(PROJECT).join(folder))?;
    let mut found: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    found.retain(|path| path.extension().is_some_and(|found| found == extension));
    ensure!(!found.is_empty(), "no {extension} in {folder}");
    found.sort();
    Ok(found)
}

/// Returns every document of the Kubernetes manifests.
fn manifests() -> Result<Vec<Yaml>> {
    let mut documents = Vec::new();
    for path in files("ops/kubernetes", "yaml")? {
        let read = YamlLoader::load_from_str(&fs::read_to_string(&path)?);
        documents.extend(read.with_context(|| path.display().to_string())?);
    }
    Ok(documents)
}

fn of_kind<'a>(documents: &'a [Yaml], kind: &str) -> Vec<&'a Yaml> {
    documents.iter().filter(|document| document["kind"].as_str() == Some(kind)).collect()
}

/// Returns what stands under a key, at any depth.
fn under<'a>(node: &'a Yaml, key: &str, found: &mut Vec<&'a Yaml>) {
    match node {
        Yaml::Hash(entries) => {
            for (name, value) in entries {
                if name.as_str() == Some(key) {
                    found.push(value);
                }
                under(value, key, found);
            }
        }
        Yaml::Array(items) => items.iter().for_each(|item| under(item, key, found)),
        _ => {}
    }
}

fn words(list: &Yaml) -> Vec<String> {
    list.as_vec().into_iter().flatten().filter_map(Yaml::as_str).map(str::to_owned).collect()
}

/// Returns the arguments of every command that `ops/` and the Procfile start.
fn commands() -> Result<Vec<Vec<String>>> {
    let split = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let mut found = Vec::new();
    for document in manifests()? {
        let (mut arguments, mut probes) = (Vec::new(), Vec::new());
        under(&document, "args", &mut arguments);
        under(&document, "command", &mut probes);
        found.extend(arguments.into_iter().map(words));
        found.extend(probes.into_iter().map(|probe| words(probe)[1..].to_vec()));
    }
    for path in files("ops/systemd", "service")? {
        let unit = fs::read_to_string(path)?;
        found.extend(unit.lines().filter_map(|line| line.strip_prefix("ExecStart=/usr/bin/billrunner ")).map(split));
    }
    found.extend(read("Procfile")?.lines().filter_map(|line| Some(split(line.split_once(": billrunner ")?.1))));
    let container = read("ops/Containerfile")?;
    let default = container.lines().find_map(|line| line.strip_prefix("CMD ")).context("CMD")?;
    found.push(serde_json::from_str(default)?);
    Ok(found)
}

#[test]
fn every_command_that_is_started_exists() -> Result<()> {
    let commands = commands()?;
    // Procfile 3, systemd 3, Kubernetes 3 and a probe, the container's own.
    ensure!(commands.len() >= 11, "{commands:?}");
    for arguments in commands {
        let mut command = Command::new(env!("CARGO_BIN_EXE_billrunner"));
        let output = command.args(&arguments).arg("--help").stdin(Stdio::null()).output()?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        ensure!(!arguments.is_empty() && !output.stdout.is_empty(), "{arguments:?}");
    }
    Ok(())
}

#[test]
fn every_setting_that_is_named_exists() -> Result<()> {
    let mut texts = vec![read("Procfile")?, read("ops/Containerfile")?, read("docs/DEPLOYING.md")?];
    for (folder, extension) in [("ops/kubernetes", "yaml"), ("ops/systemd", "service"), ("ops/systemd", "env")] {
        for path in files(folder, extension)? {
            texts.push(fs::read_to_string(path)?);
        }
    }
    let name = Regex::new(r"\b(?:BILLRUNNER_[A-Z_]+|[A-Z_]+_URL)\b")?;
    let mut named: BTreeSet<String> =
        texts.iter().flat_map(|text| name.find_iter(text)).map(|found| found.as_str().to_owned()).collect();
    for document in of_kind(&manifests()?, "ConfigMap") {
        named.extend(document["data"].as_hash().context("data")?.keys().filter_map(Yaml::as_str).map(str::to_owned));
    }
    ensure!(named.len() >= 6, "{named:?}");
    for name in named {
        ensure!(VARIABLES.iter().any(|variable| variable.name == name), "{name} is no setting");
    }
    Ok(())
}

#[test]
fn containers_are_locked_down_limited_and_looked_after() -> Result<()> {
    let documents = manifests()?;
    for kind in ["ConfigMap", "Job", "NetworkPolicy", "PodDisruptionBudget", "ScaledObject", "Service"] {
        ensure!(!of_kind(&documents, kind).is_empty(), "no {kind}");
    }
    let deployments = of_kind(&documents, "Deployment");
    ensure!(deployments.len() == 2, "worker and web");
    for document in deployments.iter().copied().chain(of_kind(&documents, "Job")) {
        let pod = &document["spec"]["template"]["spec"];
        let name = document["metadata"]["name"].as_str().context("a name")?;
        let container = &pod["containers"][0];
        let security = &container["securityContext"];
        ensure!(pod["securityContext"]["runAsNonRoot"].as_bool() == Some(true), "{name}");
        ensure!(pod["automountServiceAccountToken"].as_bool() == Some(false), "{name}");
        ensure!(security["readOnlyRootFilesystem"].as_bool() == Some(true), "{name}");
        ensure!(security["allowPrivilegeEscalation"].as_bool() == Some(false), "{name}");
        ensure!(words(&security["capabilities"]["drop"]) == ["ALL"], "{name}");
        ensure!(!container["resources"]["limits"]["memory"].is_badvalue(), "{name} has no limit of memory");
        ensure!(!container["resources"]["requests"]["cpu"].is_badvalue(), "{name} asks for no processor");
    }
    for document in deployments {
        let selected = &document["spec"]["selector"]["matchLabels"];
        ensure!(selected == &document["spec"]["template"]["metadata"]["labels"], "it selects what it makes");
        let container = &document["spec"]["template"]["spec"]["containers"][0];
        let probes = ["startupProbe", "readinessProbe", "livenessProbe"].map(|probe| &container[probe]);
        ensure!(probes.iter().any(|probe| !probe.is_badvalue()), "it is looked after");
        let budget = of_kind(&documents, "PodDisruptionBudget")
            .into_iter()
            .find(|budget| &budget["spec"]["selector"]["matchLabels"] == selected);
        ensure!(budget.is_some(), "no budget of disruptions for {selected:?}");
    }
    Ok(())
}

#[test]
fn workers_are_scaled_by_the_age_of_the_oldest_waiting_job() -> Result<()> {
    let documents = manifests()?;
    let scaled = of_kind(&documents, "ScaledObject")[0];
    let target = scaled["spec"]["scaleTargetRef"]["name"].as_str();
    let names: Vec<_> =
        of_kind(&documents, "Deployment").iter().map(|found| found["metadata"]["name"].as_str()).collect();
    ensure!(names.contains(&target), "{target:?} is none of {names:?}");
    let trigger = &scaled["spec"]["triggers"][0];
    ensure!(trigger["type"].as_str() == Some("prometheus"));
    let query = trigger["metadata"]["query"].as_str().context("a query")?;
    let metric =
        query.strip_prefix("max(").and_then(|rest| rest.strip_suffix(")")).context("the oldest of all lanes")?;
    ensure!(metric.contains("oldest_waiting"), "{query}");
    // The handbook lists what is exported, and nothing else: see tests/metrics.rs.
    ensure!(read("docs/OPERATING.md")?.contains(&format!("| `{metric}` |")), "{metric} is not exported");
    ensure!(
        read("docs/DEPLOYING.md")?.contains(&format!("`{metric}`")),
        "docs/DEPLOYING.md says another than {metric}"
    );
    // Somebody has to send out what is due.
    ensure!(scaled["spec"]["minReplicaCount"].as_i64() >= Some(1));
    Ok(())
}

#[test]
fn a_stop_waits_longer_than_running_jobs_may_take() -> Result<()> {
    let seconds = |text: &str, pattern: &str| -> Result<u64> {
        let found = Regex::new(pattern)?.captures(text).context("it is set")?;
        Ok(found[1].parse()?)
    };
    let unit = read("ops/systemd/billrunner-worker.service")?;
    ensure!(seconds(&unit, r"TimeoutStopSec=(\d+)")? >= seconds(&unit, r"--grace (\d+)s")? + 10);
    let pod = read("ops/kubernetes/worker.yaml")?;
    ensure!(seconds(&pod, r"terminationGracePeriodSeconds: (\d+)")? >= seconds(&pod, r"--grace, (\d+)s")? + 10);
    Ok(())
}

#[test]
fn units_are_well_formed_and_locked_down() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut copies = Vec::new();
    for path in files("ops/systemd", "service")? {
        let unit = fs::read_to_string(&path)?;
        for line in ["NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=\n", "UMask=0077"] {
            ensure!(unit.contains(line), "{} lacks {line}", path.display());
        }
        ensure!(unit.contains("Type=notify") == unit.contains("WatchdogSec="), "{}", path.display());
        let copy = folder.path().join(path.file_name().context("a name")?);
        fs::write(&copy, unit.replace("/usr/bin/billrunner", env!("CARGO_BIN_EXE_billrunner")))?;
        copies.push(copy);
    }
    // A check more where the machine has systemd; what is asserted above holds on every one.
    if let Ok(output) = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&copies).output() {
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success() && said.is_empty(), "{said}");
    }
    Ok(())
}

#[test]
fn the_image_says_what_the_program_is_made_of() -> Result<()> {
    let (container, page) = (read("ops/Containerfile")?, read("docs/SECURITY.md")?);
    let bill = "/usr/share/doc/billrunner/billrunner.cdx.json";
    ensure!(
        container.contains(&format!("bin/sbom /image{bill}")) && page.contains(bill) && page.contains("`bin/sbom`")
    );
    Ok(())
}

#[test]
fn the_container_needs_no_shell_no_root_and_no_writable_root() -> Result<()> {
    let text = read("ops/Containerfile")?;
    let image = text.rsplit("\nFROM ").next().context("a last stage")?;
    ensure!(image.starts_with("gcr.io/distroless/") && !image.contains("\nRUN "), "{image}");
    let user = image.lines().find_map(|line| line.strip_prefix("USER ")).context("a user")?;
    ensure!(!user.starts_with('0') && !user.starts_with("root"), "{user}");
    for line in
        image.lines().filter_map(|line| line.split_once(' ').filter(|(word, _)| matches!(*word, "CMD" | "ENTRYPOINT")))
    {
        serde_json::from_str::<Vec<String>>(line.1).with_context(|| format!("{} wants a shell", line.0))?;
    }
    Ok(())
}
