#include "commands/rotation/events.h"

#include <array>
#include <stdexcept>
#include <utility>

#include "commands/json.h"

namespace keyturn::integrations {
NLOHMANN_JSON_SERIALIZE_ENUM(Health, {{Health::unknown, "unknown"},
                                      {Health::healthy, "healthy"},
                                      {Health::unhealthy, "unhealthy"}})
NLOHMANN_JSON_SERIALIZE_ENUM(Answer, {{Answer::inconclusive, "inconclusive"},
                                      {Answer::granted, "granted"},
                                      {Answer::denied, "denied"},
                                      {Answer::expired, "expired"},
                                      {Answer::unknown_key, "unknown_key"},
                                      {Answer::address, "address"}})
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Probe, endpoint, answer, status, request_id, at, account,
                                                newest_object, livemode, missing_permissions, note)
}  // namespace keyturn::integrations

namespace keyturn::commands::rotation {

void to_json(nlohmann::json& json, ActionKind kind) { json = name_of(kind); }
void from_json(const nlohmann::json& json, ActionKind& kind) {
  const auto named = action_named(json.get<std::string>());
  if (!named) throw std::runtime_error("unknown action " + json.dump());
  kind = *named;
}

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Action, kind, subject)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Started, target, operator_id, channel, compromise, reason)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ActionStarted, action)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ActionFailed, action, can_retry, reason, request_id)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(OperatorChecked, allowed, reason, name)
void to_json(nlohmann::json& json, const SyncSeen& sync) {
  json = {{"id", sync.id},
          {"destination", sync.destination},
          {"app", sync.app},
          {"app_id", sync.app_id},
          {"variable", sync.variable},
          {"deletes", sync.deletes},
          {"has_run", sync.has_run},
          {"failed", sync.failed}};
}
void from_json(const nlohmann::json& json, SyncSeen& sync) {
  // Older journals have one in words: "heroku raxx-api-prod".
  if (json.is_string()) {
    sync = {};
    sync.destination = json.get<std::string>();
    return;
  }
  sync = {.id = json.value("id", ""),
          .destination = json.value("destination", ""),
          .app = json.value("app", ""),
          .app_id = json.value("app_id", ""),
          .variable = json.value("variable", ""),
          .deletes = json.value("deletes", false),
          .has_run = json.value("has_run", false),
          .failed = json.value("failed", false)};
}
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(CurrentKeyRead, secret_id, version, fingerprint, kind, hidden,
                                                rotated_by_store, is_reference, syncs, request_id)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ConsumerInspected, app, fingerprint, holds_master_key,
                                                maintenance, release, release_pending, dynos_up, dynos,
                                                release_takes, calls_left, request_id)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(KeyProbed, purpose, probes, fingerprint)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(BillingChecked, health, status, detail)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(OperatorConfirmed, confirmations, reason)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(FormIssued, token_hash, expires_at, public_key, operator_id)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(FormSent, channel, ts)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(FormOpened, peer)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(FormTurnedAway, peer, why)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(PasteRefused, code, attempts_left)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(KeyReceived, fingerprint, grace_chosen, rotated_at,
                                                old_key_expires_at, peer, sealed_hash)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(KeyRejected, code, sentence)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(KeyStored, version, previous_version, already_there,
                                                request_id, sync_runs)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ConsumerUpdated, app, already_there, release, request_id,
                                                by_sync, released_by)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ConsumerRunning, app, release, dynos, request_id)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(WatchProgressed, app, watched, blind, lines, gaps, failures)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(WatchFinished, totals)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(BillingWatched, healthy, unhealthy, unknown, failed,
                                                last_problem)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ProofTaken, old_key, new_key, strays)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Halted, action, sentence)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Refused, code, sentence, alarm)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Closed, outcome)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(MessageIntended, slot)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(MessagePosted, slot, channel, ts)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(OperatorNudged, why, link, approval)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(OthersPaged, people, old_key, link, approval, stopped)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(OldKeyChecked, old_key)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(HandedOver, from, to, name)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ExpiryChecked, stored_fingerprint, strays, request_id)

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ApprovalRequested, of, by)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ApprovalGiven, by)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ApprovalDeclined, by)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ApprovalLapsed, sentence)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ApprovalBypassed, by)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(BypassTold, people)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(RollbackRequested, by)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(PreviousKeyRead, version, found, request_id)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(RollbackBarred, sentence)

// The procedure's own audit entry holds its context and nothing around it.
void to_json(nlohmann::json& json, const Completed& event) { json = event.context; }
void from_json(const nlohmann::json& json, Completed& event) { event.context = json; }
void to_json(nlohmann::json& json, const RolledBack& event) { json = event.context; }
void from_json(const nlohmann::json& json, RolledBack& event) { event.context = json; }

namespace {

template <typename T>
concept WithoutData = std::is_empty_v<T>;
template <WithoutData T>
nlohmann::json write(const T&) {
  return nlohmann::json::object();
}
template <typename T>
nlohmann::json write(const T& event) {
  return event;
}
template <WithoutData T>
Event read(const nlohmann::json&) {
  return T{};
}
template <typename T>
  requires(!WithoutData<T>)
Event read(const nlohmann::json& data) {
  return data.get<T>();
}

struct Type {
  std::string_view name;
  Event (*read)(const nlohmann::json&);
};

// In the order of the variant's alternatives.
constexpr std::array<Type, std::variant_size_v<Event>> kTypes{{
    {"secret.rotate.started", read<Started>},
    {"secret.rotate.action.started", read<ActionStarted>},
    {"secret.rotate.action.failed", read<ActionFailed>},
    {"secret.rotate.operator.checked", read<OperatorChecked>},
    {"secret.rotate.current_key.read", read<CurrentKeyRead>},
    {"secret.rotate.consumer.inspected", read<ConsumerInspected>},
    {"secret.rotate.key.probed", read<KeyProbed>},
    {"secret.rotate.billing.checked", read<BillingChecked>},
    {"secret.rotate.operator.confirmed", read<OperatorConfirmed>},
    {"secret.rotate.form.issued", read<FormIssued>},
    {"secret.rotate.form.sent", read<FormSent>},
    {"secret.rotate.form.opened", read<FormOpened>},
    {"secret.rotate.form.turned_away", read<FormTurnedAway>},
    {"secret.rotate.form.paste_refused", read<PasteRefused>},
    {"secret.rotate.new_key.received", read<KeyReceived>},
    {"secret.rotate.new_key.rejected", read<KeyRejected>},
    {"secret.rotate.form.link_requested", read<LinkRequested>},
    {"secret.rotate.new_key.stored", read<KeyStored>},
    {"secret.rotate.consumer.updated", read<ConsumerUpdated>},
    {"secret.rotate.consumer.running", read<ConsumerRunning>},
    {"secret.rotate.watch.progressed", read<WatchProgressed>},
    {"secret.rotate.watch.finished", read<WatchFinished>},
    {"secret.rotate.billing.watched", read<BillingWatched>},
    {"secret.rotate.completed", read<Completed>},
    {"secret.rotate.grace.reminded", read<Reminded>},
    {"secret.rotate.old_key.proof_taken", read<ProofTaken>},
    {"secret.rotate.old_key.still_alive", read<StillAlive>},
    {"secret.rotate.old_key.proven_dead", read<ProvenDead>},
    {"secret.rotate.halted", read<Halted>},
    {"secret.rotate.retry_requested", read<RetryRequested>},
    {"secret.rotate.cancelled", read<Cancelled>},
    {"secret.rotate.refused", read<Refused>},
    {"secret.rotate.closed", read<Closed>},
    {"secret.rotate.message.intended", read<MessageIntended>},
    {"secret.rotate.message.posted", read<MessagePosted>},
    {"secret.rotate.operator.nudged", read<OperatorNudged>},
    {"secret.rotate.operator.others_paged", read<OthersPaged>},
    {"secret.rotate.old_key.checked", read<OldKeyChecked>},
    {"secret.rotate.operator.handed_over", read<HandedOver>},
    {"secret.rotate.old_key.expiry_requested", read<ExpiryRequested>},
    {"secret.rotate.old_key.expiry_checked", read<ExpiryChecked>},
    {"secret.rotate.rollback.requested", read<RollbackRequested>},
    {"secret.rotate.rollback.began", read<RollbackBegan>},
    {"secret.rotate.rollback.previous_key.read", read<PreviousKeyRead>},
    {"secret.rotate.rollback.barred", read<RollbackBarred>},
    {"secret.rotate.rolled_back", read<RolledBack>},
    {"secret.rotate.approval.requested", read<ApprovalRequested>},
    {"secret.rotate.approval.given", read<ApprovalGiven>},
    {"secret.rotate.approval.declined", read<ApprovalDeclined>},
    {"secret.rotate.approval.lapsed", read<ApprovalLapsed>},
    {"secret.rotate.approval.bypassed", read<ApprovalBypassed>},
    {"secret.rotate.approval.bypass_told", read<BypassTold>},
}};

}  // namespace

std::string_view type_of(const Event& event) { return kTypes[event.index()].name; }

nlohmann::json data_of(const Event& event) {
  return std::visit([](const auto& alternative) { return write(alternative); }, event);
}

Event read_event(std::string_view type, const nlohmann::json& data) {
  for (const Type& known : kTypes) {
    if (known.name == type) return known.read(data);
  }
  throw std::runtime_error("the journal holds an event that this program does not know: " +
                           std::string(type));
}

std::vector<std::string_view> destroyed_by(const Event& event) {
  if (std::holds_alternative<KeyRejected>(event) || std::holds_alternative<Completed>(event))
    return {kNewKey};
  if (std::holds_alternative<ProvenDead>(event)) return {kOldKey};
  if (std::holds_alternative<Closed>(event)) return {kOldKey, kNewKey, kFormKey};
  // A link that takes nothing more needs no key either.
  const auto* refused = std::get_if<PasteRefused>(&event);
  const bool locked = refused != nullptr && refused->attempts_left <= 0;
  if (locked || std::holds_alternative<KeyReceived>(event) || std::holds_alternative<LinkRequested>(event) ||
      std::holds_alternative<Cancelled>(event) || std::holds_alternative<HandedOver>(event))
    return {kFormKey};
  return {};
}

}  // namespace keyturn::commands::rotation
