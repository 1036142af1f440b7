#include "deploy/sandbox/observation.h"

#include "deploy/sandbox/rendered_blocks.h"
#include "deploy/sandbox/slack_people.h"

namespace keyturn::sandbox {
namespace {

using nlohmann::json;

std::string id_of(const StripeWorld& stripe, const std::string& value) {
  const StripeKey* key = stripe.find_value(value);
  return key == nullptr ? kNoKey : key->id;
}

std::string value_in(const ConfigVars& config) {
  const auto found = config.find(kVariable);
  return found == config.end() ? "" : found->second;
}

void look_at_app(const World& world, Observation& seen) {
  const HerokuApp* app = world.heroku.find(kProductionApp);
  seen.configured = id_of(world.stripe, value_in(app->config));
  seen.settled = true;
  for (const HerokuDyno& dyno : app->dynos) {
    seen.running.insert(id_of(world.stripe, value_in(dyno.config)));
    seen.settled = seen.settled && dyno.state == DynoState::up && !dyno.restart_due;
  }
}

void look_at_keys(const json& stripe, Observation& seen) {
  for (const json& key : stripe.at("keys")) {
    const std::string status = key.at("status");
    seen.keys[key.at("id")] = {.alive = status == "active" || status == "expiring",
                               .ours = key.at("kind") == "restricted" && key.at("mode") == "live" &&
                                       key.at("account") == kStripeAccount};
  }
}

void read_messages(const json& slack, Observation& seen) {
  for (const json& channel : slack.at("channels")) {
    const std::string id = channel.at("id");
    for (const char* kind : {"messages", "ephemerals"}) {
      for (const json& message : channel.at(kind)) {
        const std::string reader = message.value("only_for", "");
        const std::string place = reader.empty() ? id : "only " + reader;
        for (std::string& line : lines_of(message))
          seen.said.push_back({.place = place, .ts = message.at("ts"), .words = std::move(line)});
      }
    }
  }
}

}  // namespace

Observation look(const World& world, const SlackWorld& slack) {
  Observation seen;
  const InfisicalSecret* secret = world.infisical.find("prod", kVariable);
  seen.stored = secret == nullptr ? kNoKey : id_of(world.stripe, secret->newest().value);
  look_at_app(world, seen);
  look_at_keys(world.stripe.state(), seen);
  const json last = world.billing.state().at("last");
  if (last.is_object()) seen.billing_healthy = last.at("healthy").get<bool>();
  const json told = slack.state();
  read_messages(told, seen);
  seen.bot_connected = !told.at("socket_mode").at("sockets").empty();
  return seen;
}

}  // namespace keyturn::sandbox
