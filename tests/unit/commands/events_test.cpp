#include "commands/rotation/events.h"

#include <catch2/catch.hpp>
#include <set>
#include <utility>

#include "tests/unit/commands/story.h"

namespace keyturn::commands::rotation {
using integrations::Answer;

namespace {

template <typename T>
constexpr std::string_view kName = "";
template <>
constexpr std::string_view kName<Started> = "secret.rotate.started";
template <>
constexpr std::string_view kName<ActionStarted> = "secret.rotate.action.started";
template <>
constexpr std::string_view kName<ActionFailed> = "secret.rotate.action.failed";
template <>
constexpr std::string_view kName<OperatorChecked> = "secret.rotate.operator.checked";
template <>
constexpr std::string_view kName<CurrentKeyRead> = "secret.rotate.current_key.read";
template <>
constexpr std::string_view kName<ConsumerInspected> = "secret.rotate.consumer.inspected";
template <>
constexpr std::string_view kName<KeyProbed> = "secret.rotate.key.probed";
template <>
constexpr std::string_view kName<BillingChecked> = "secret.rotate.billing.checked";
template <>
constexpr std::string_view kName<OperatorConfirmed> = "secret.rotate.operator.confirmed";
template <>
constexpr std::string_view kName<FormIssued> = "secret.rotate.form.issued";
template <>
constexpr std::string_view kName<FormSent> = "secret.rotate.form.sent";
template <>
constexpr std::string_view kName<FormOpened> = "secret.rotate.form.opened";
template <>
constexpr std::string_view kName<FormTurnedAway> = "secret.rotate.form.turned_away";
template <>
constexpr std::string_view kName<PasteRefused> = "secret.rotate.form.paste_refused";
template <>
constexpr std::string_view kName<KeyReceived> = "secret.rotate.new_key.received";
template <>
constexpr std::string_view kName<KeyRejected> = "secret.rotate.new_key.rejected";
template <>
constexpr std::string_view kName<LinkRequested> = "secret.rotate.form.link_requested";
template <>
constexpr std::string_view kName<KeyStored> = "secret.rotate.new_key.stored";
template <>
constexpr std::string_view kName<ConsumerUpdated> = "secret.rotate.consumer.updated";
template <>
constexpr std::string_view kName<ConsumerRunning> = "secret.rotate.consumer.running";
template <>
constexpr std::string_view kName<WatchProgressed> = "secret.rotate.watch.progressed";
template <>
constexpr std::string_view kName<WatchFinished> = "secret.rotate.watch.finished";
template <>
constexpr std::string_view kName<BillingWatched> = "secret.rotate.billing.watched";
template <>
constexpr std::string_view kName<Completed> = "secret.rotate.completed";
template <>
constexpr std::string_view kName<Reminded> = "secret.rotate.grace.reminded";
template <>
constexpr std::string_view kName<ProofTaken> = "secret.rotate.old_key.proof_taken";
template <>
constexpr std::string_view kName<StillAlive> = "secret.rotate.old_key.still_alive";
template <>
constexpr std::string_view kName<ProvenDead> = "secret.rotate.old_key.proven_dead";
template <>
constexpr std::string_view kName<Halted> = "secret.rotate.halted";
template <>
constexpr std::string_view kName<RetryRequested> = "secret.rotate.retry_requested";
template <>
constexpr std::string_view kName<Cancelled> = "secret.rotate.cancelled";
template <>
constexpr std::string_view kName<Refused> = "secret.rotate.refused";
template <>
constexpr std::string_view kName<Closed> = "secret.rotate.closed";
template <>
constexpr std::string_view kName<MessageIntended> = "secret.rotate.message.intended";
template <>
constexpr std::string_view kName<MessagePosted> = "secret.rotate.message.posted";
template <>
constexpr std::string_view kName<OperatorNudged> = "secret.rotate.operator.nudged";
template <>
constexpr std::string_view kName<OthersPaged> = "secret.rotate.operator.others_paged";
template <>
constexpr std::string_view kName<OldKeyChecked> = "secret.rotate.old_key.checked";
template <>
constexpr std::string_view kName<HandedOver> = "secret.rotate.operator.handed_over";
template <>
constexpr std::string_view kName<ExpiryRequested> = "secret.rotate.old_key.expiry_requested";
template <>
constexpr std::string_view kName<ExpiryChecked> = "secret.rotate.old_key.expiry_checked";
template <>
constexpr std::string_view kName<RollbackRequested> = "secret.rotate.rollback.requested";
template <>
constexpr std::string_view kName<RollbackBegan> = "secret.rotate.rollback.began";
template <>
constexpr std::string_view kName<PreviousKeyRead> = "secret.rotate.rollback.previous_key.read";
template <>
constexpr std::string_view kName<RollbackBarred> = "secret.rotate.rollback.barred";
template <>
constexpr std::string_view kName<RolledBack> = "secret.rotate.rolled_back";
template <>
constexpr std::string_view kName<ApprovalRequested> = "secret.rotate.approval.requested";
template <>
constexpr std::string_view kName<ApprovalGiven> = "secret.rotate.approval.given";
template <>
constexpr std::string_view kName<ApprovalDeclined> = "secret.rotate.approval.declined";
template <>
constexpr std::string_view kName<ApprovalLapsed> = "secret.rotate.approval.lapsed";
template <>
constexpr std::string_view kName<ApprovalBypassed> = "secret.rotate.approval.bypassed";
template <>
constexpr std::string_view kName<BypassTold> = "secret.rotate.approval.bypass_told";

template <std::size_t... I>
void check_every_alternative(std::index_sequence<I...>) {
  const auto check = []<typename T>(T event) {
    INFO(kName<T>);
    CHECK_FALSE(kName<T>.empty());
    const Event whole = std::move(event);
    CHECK(type_of(whole) == kName<T>);
    const auto data = data_of(whole);
    const Event back = read_event(type_of(whole), nlohmann::json::parse(data.dump()));
    CHECK(std::holds_alternative<T>(back));
    CHECK(data_of(back) == data);
  };
  (check(std::variant_alternative_t<I, Event>{}), ...);
}

void check_round_trip(const Event& event) {
  INFO(type_of(event));
  const auto data = data_of(event);
  const Event back = read_event(type_of(event), nlohmann::json::parse(data.dump()));
  CHECK(back.index() == event.index());
  CHECK(data_of(back) == data);
}

}  // namespace

TEST_CASE("every event is written under its own name and read back as itself") {
  check_every_alternative(std::make_index_sequence<std::variant_size_v<Event>>{});
}

TEST_CASE("filled events keep every field on the way through the journal") {
  Target target = test::sample_target();
  target.mode = integrations::Mode::test;
  target.account = "acct_1";
  target.billing.json_pointer = "/status";
  target.timing.proof_count = 7;
  target.timing.late_after = std::chrono::minutes(3);
  const Started started{
      .target = target, .operator_id = "U1", .channel = "C1", .compromise = true, .reason = "leak"};
  check_round_trip(started);
  const auto back = std::get<Started>(read_event("secret.rotate.started", data_of(started)));
  CHECK(back.target.mode == integrations::Mode::test);
  CHECK(back.target.consumers.size() == 2);
  CHECK(back.target.consumers.back().app == "second");
  CHECK(back.target.billing.json_pointer == "/status");
  CHECK(back.target.timing.proof_count == 7);
  CHECK(back.target.timing.late_after == std::chrono::minutes(3));
  CHECK(back.compromise);
  CHECK(back.reason == "leak");

  auto taken = test::taken_proof(Answer::expired);
  taken.old_key.livemode = false;
  taken.new_key.missing_permissions = {"customer_read"};
  const auto proof = std::get<ProofTaken>(read_event("secret.rotate.old_key.proof_taken", data_of(taken)));
  CHECK(proof.old_key.answer == Answer::expired);
  CHECK(proof.old_key.livemode == false);
  CHECK(proof.new_key.livemode == true);
  CHECK(proof.new_key.missing_permissions == std::vector<std::string>{"customer_read"});
  CHECK(proof.old_key.at == test::kStart);

  check_round_trip(OthersPaged{.people = {"U2"}, .old_key = taken.old_key, .link = 2});
  check_round_trip(OthersPaged{.people = {"U2"}, .old_key = taken.old_key, .link = 2, .approval = 1});
  check_round_trip(OthersPaged{.people = {"U2"}, .old_key = taken.old_key, .link = 2, .stopped = true});
  check_round_trip(OperatorNudged{.why = "not_approved", .link = 2, .approval = 1});
  check_round_trip(ApprovalRequested{.of = "rotation", .by = "U1"});
  check_round_trip(ApprovalGiven{"U2"});
  check_round_trip(ApprovalDeclined{"U2"});
  check_round_trip(ApprovalLapsed{"too late"});
  check_round_trip(ApprovalBypassed{"U1"});
  check_round_trip(BypassTold{{"U2", "U3"}});
  check_round_trip(HandedOver{.from = "U1", .to = "U2", .name = "Grace"});
  check_round_trip(KeyStored{.version = 5, .request_id = "r", .sync_runs = {{"sync-1", "run-1"}}});
  check_round_trip(ConsumerUpdated{
      .app = "canary", .release = 11, .request_id = "r", .by_sync = true, .released_by = "sync@raxx.app"});
  CurrentKeyRead current = test::current_key();
  current.syncs = {SyncSeen{.id = "sync-1",
                            .destination = "heroku",
                            .app = "canary",
                            .app_id = "a-1",
                            .variable = "KEY",
                            .deletes = true,
                            .has_run = true,
                            .failed = true}};
  check_round_trip(current);
  check_round_trip(ExpiryChecked{.stored_fingerprint = "new-1", .strays = {"canary"}, .request_id = "r"});
  check_round_trip(test::failure({ActionKind::await_consumer, "canary"}, true));
  check_round_trip(test::quiet_watch("canary"));
  check_round_trip(KeyReceived{.fingerprint = "new-1",
                               .grace_chosen = std::chrono::hours(1),
                               .rotated_at = test::kStart,
                               .old_key_expires_at = test::kStart + std::chrono::hours(1),
                               .peer = "192.0.2.1"});
  check_round_trip(Completed{.context = {{"provider", "stripe"}, {"consumers", nlohmann::json::array()}}});
}

TEST_CASE("the audit entry of a completed rotation is its context and nothing around it") {
  CHECK(data_of(Completed{.context = {{"provider", "stripe"}}}) == nlohmann::json{{"provider", "stripe"}});
}

TEST_CASE("an event of an unknown type or with an unknown action is not read") {
  CHECK_THROWS_AS(read_event("secret.rotate.teleported", nlohmann::json::object()), std::runtime_error);
  CHECK_THROWS_AS(read_event("", nlohmann::json::object()), std::runtime_error);
  CHECK_THROWS(read_event("secret.rotate.action.started", {{"action", {{"kind", "fly"}, {"subject", ""}}}}));
  CHECK_THROWS(read_event("secret.rotate.form.issued", {{"token_hash", "x"}, {"expires_at", "yesterday"}}));
}

TEST_CASE("every kind of action has a name of its own that leads back to it") {
  std::set<std::string> names;
  for (int i = 0; i <= static_cast<int>(ActionKind::take_proof); ++i) {
    const auto kind = static_cast<ActionKind>(i);
    CHECK(action_named(name_of(kind)) == kind);
    CHECK(in_words({kind, ""}) != "doing something unknown");
    names.insert(std::string(name_of(kind)));
  }
  CHECK(names.size() == static_cast<std::size_t>(ActionKind::take_proof) + 1);
}

TEST_CASE("only the right events destroy a sealed key") {
  using Purposes = std::vector<std::string_view>;
  CHECK(destroyed_by(KeyRejected{}) == Purposes{kNewKey});
  CHECK(destroyed_by(Completed{}) == Purposes{kNewKey});
  CHECK(destroyed_by(ProvenDead{}) == Purposes{kOldKey});
  CHECK(destroyed_by(Closed{}) == Purposes{kOldKey, kNewKey, kFormKey});
  CHECK(destroyed_by(KeyReceived{}) == Purposes{kFormKey});
  CHECK(destroyed_by(LinkRequested{}) == Purposes{kFormKey});
  CHECK(destroyed_by(Cancelled{}) == Purposes{kFormKey});
  CHECK(destroyed_by(HandedOver{}) == Purposes{kFormKey});
  CHECK(destroyed_by(PasteRefused{"not_a_key", 0}) == Purposes{kFormKey});
  CHECK(destroyed_by(PasteRefused{"not_a_key", 1}).empty());
  CHECK(destroyed_by(FormTurnedAway{}).empty());
  CHECK(destroyed_by(Halted{}).empty());
  CHECK(destroyed_by(KeyStored{}).empty());
  CHECK(destroyed_by(StillAlive{}).empty());
}

}  // namespace keyturn::commands::rotation
