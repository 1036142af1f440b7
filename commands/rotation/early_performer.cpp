// What is asked of the world while an operator doesn't come, and before an old key is ended early. Reads
// only.
#include "commands/rotation/approval.h"
#include "commands/rotation/performer.h"
#include "integrations/error.h"

namespace keyturn::commands::rotation {

namespace asio = boost::asio;

// Whether the old key lives is one question, so one call answers it.
asio::awaitable<integrations::Probe> RealPerformer::probe_old(StatePointer state) {
  const auto key = co_await systems_.vault.open(state->id, std::string(kOldKey));
  co_return co_await systems_.provider.probe(key, state->target.permitted.front());
}

asio::awaitable<Outcome> RealPerformer::page_others(StatePointer state) {
  OthersPaged paged{.people = {},
                    .old_key = co_await probe_old(state),
                    .link = state->forms,
                    .stopped = state->halted.has_value()};
  if (systems_.superadmins) paged.people = co_await systems_.superadmins();
  if (waiting_approval(*state) != nullptr) {
    paged.approval = static_cast<int>(state->approvals.size());
    std::erase_if(paged.people,
                  [&state](const auto& person) { return may_not_approve(*state, person).has_value(); });
  } else {
    std::erase(paged.people, state->operator_id);
  }
  co_return Outcome{.events = {std::move(paged)}, .boxes = {}};
}

// Unlike a page, which names whom it can: here nobody may be left out.
asio::awaitable<Outcome> RealPerformer::find_superadmins(StatePointer state) {
  const auto everybody = co_await systems_.every_superadmin();
  if (!everybody)
    fail(integrations::System::slack, "Slack did not say who the superadmins are", /*can_retry=*/true);
  BypassTold told{.people = *everybody};
  std::erase(told.people, state->approval_bypassed->event.by);
  co_return Outcome{.events = {std::move(told)}, .boxes = {}};
}

asio::awaitable<Outcome> RealPerformer::check_expiry(StatePointer state) {
  const auto stored = co_await systems_.store.read(state->target.store, std::nullopt);
  ExpiryChecked checked{.stored_fingerprint = {}, .strays = {}, .request_id = stored.request_id};
  if (stored.value && !stored.hidden) {
    checked.stored_fingerprint = systems_.vault.fingerprint(*stored.value);
    checked.strays = co_await strays(state, stored.value);
  }
  co_return Outcome{.events = {std::move(checked)}, .boxes = {}};
}

}  // namespace keyturn::commands::rotation
