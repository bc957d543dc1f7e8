//! Changes configs: what this broker can judge it judges, the rest is the controller's decision.

use std::sync::Arc;

use ottla_controller::{AlterConfigs, ConfigAlteration, ConfigChangeError, Controller, ControllerError};
use ottla_metadata::{ConfigResource, ConfigResourceType};
use ottla_model::BrokerId;

use super::{Refused, Wanted, WantedChange, logger_levels};
use crate::error_map;
use crate::identity::Identity;
use crate::metadata_view::MetadataView;
use crate::telemetry::Loggers;

/// What AlterConfigs and IncrementalAlterConfigs share.
#[derive(Clone, Debug)]
pub(crate) struct Alterer {
    pub controller: Controller,
    pub view: Arc<MetadataView>,
    pub identity: Arc<Identity>,
    pub loggers: Arc<Loggers>,
}

/// What becomes of one resource of a request before the controller hears of it.
#[derive(Debug)]
enum Step {
    Refused(Refused),
    /// Loggers are this process's own business.
    Done,
    Ask(ConfigAlteration),
}

impl Alterer {
    /// One answer for each resource, in the request's order; `None` is success. Once it is there, this broker lives by it.
    pub(crate) async fn alter(&self, wanted: &[Wanted], validate_only: bool) -> Vec<Option<Refused>> {
        let repeated = Wanted::repeated(wanted);
        let step = |wanted: &Wanted| {
            if repeated.contains(&wanted.resource()) {
                return Step::Refused(Refused::invalid_request("Each resource must appear at most once."));
            }
            self.step(wanted, validate_only).unwrap_or_else(Step::Refused)
        };
        let steps: Vec<Step> = wanted.iter().map(step).collect();
        let resources = steps.iter().filter_map(|step| match step {
            Step::Ask(alteration) => Some(alteration.clone()),
            Step::Refused(_) | Step::Done => None,
        });
        let command = AlterConfigs { resources: resources.collect(), validate_only };
        let answers = self.controller.alter_configs(command).await;
        self.view.catch_up(&self.controller).await;
        answered(steps, answers)
    }

    fn step(&self, wanted: &Wanted, validate_only: bool) -> Result<Step, Refused> {
        wanted.check_keys()?;
        let name = wanted.name.as_str();
        let unknown = || Refused::invalid_request(format!("Unknown resource type {}", wanted.kind));
        let kind = ConfigResourceType::from_id(wanted.kind).ok_or_else(unknown)?;
        match (kind, &wanted.change) {
            (ConfigResourceType::BrokerLogger, WantedChange::Operations(ops)) => {
                let node_id = self.identity.node_id;
                logger_levels::alter(&self.loggers, node_id, name, ops, validate_only)?;
                return Ok(Step::Done);
            }
            (ConfigResourceType::BrokerLogger, WantedChange::Replacement(_)) => return Err(unknown()),
            (ConfigResourceType::Broker, _) if !name.is_empty() => self.check_is_this(name)?,
            _ => {}
        }
        let resource = ConfigResource::new(kind, name);
        Ok(Step::Ask(ConfigAlteration { resource, change: wanted.command()? }))
    }

    /// A broker's configs are changed on that broker only.
    fn check_is_this(&self, name: &str) -> Result<(), Refused> {
        let id: i32 = name.parse().map_err(|_| {
            Refused::invalid_request(format!("Node id must be an integer, but it is: {name}"))
        })?;
        let node_id = self.identity.node_id;
        // Where there are several brokers, the controller answers for each.
        let is_another = self.view.image().brokers().get(BrokerId(id)).is_some();
        if id == node_id.get() || is_another {
            return Ok(());
        }
        Err(Refused::invalid_request(format!(
            "Unexpected broker id, expected {node_id}, but received {name}"
        )))
    }
}

fn answered(
    steps: Vec<Step>,
    answers: Result<Vec<Result<(), ConfigChangeError>>, ControllerError>,
) -> Vec<Option<Refused>> {
    let mut answers = match answers {
        Ok(answers) => Ok(answers.into_iter()),
        Err(error) => Err(Refused { code: error_map::controller(&error), message: error.to_string() }),
    };
    let answer = |step| match (step, &mut answers) {
        (Step::Refused(refused), _) => Some(refused),
        (Step::Done, _) => None,
        (Step::Ask(_), Err(failed)) => Some(failed.clone()),
        (Step::Ask(_), Ok(answers)) => {
            let error = answers.next()?.err()?;
            Some(Refused { code: error_map::config_change(&error), message: error.to_string() })
        }
    };
    steps.into_iter().map(answer).collect()
}
