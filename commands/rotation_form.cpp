#include "commands/rotation_form.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "integrations/stripe/key_format.h"

namespace keyturn::commands {

namespace asio = boost::asio;
using rotation::kPasteAttempts;
using rotation::Outcome;
using rotation::State;
using storage::TimePoint;

namespace {

constexpr storage::Duration kClockSkew = std::chrono::minutes(2);
constexpr storage::Duration kLongestGrace = std::chrono::hours(24 * 7);  // Stripe's own limit

bool same_hash(const std::string& a, const std::string& b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// Why a link is closed, or nothing while it is open.
std::optional<FormClosed> why_closed(const State& s, TimePoint now) {
  if (s.received || !s.live() || s.cancelled_at || s.refused) return FormClosed::used;
  if (!s.form) return FormClosed::unknown;
  if (s.form->refused_pastes >= kPasteAttempts) return FormClosed::locked;
  if (now >= s.form->issued.expires_at) return FormClosed::expired;
  return std::nullopt;
}

std::string name_of_operator(const State& s) {
  const bool named = s.operator_check && !s.operator_check->event.name.empty();
  return named ? s.operator_check->event.name : s.operator_id;
}

}  // namespace

std::optional<FormRefused> unwanted(const State& s, const std::string& fingerprint) {
  if (s.current && fingerprint == s.current->event.fingerprint) {
    return FormRefused{
        .code = "same_key",
        .sentence =
            "This is the key that is in use now. Paste the new one, which the dashboard shows once, "
            "right after \"Rotate API key\"."};
  }
  if (s.rejected_fingerprints.contains(fingerprint)) {
    return FormRefused{
        .code = "rejected_key",
        .sentence =
            "This key was pasted before and didn't pass validation. Paste the key that the rotation "
            "of the right restricted key showed."};
  }
  return std::nullopt;
}

std::optional<FormRefused> impossible(const State& s, const FormSubmission& form, TimePoint now) {
  if (form.grace_chosen < storage::Duration::zero() || form.grace_chosen > kLongestGrace) {
    return FormRefused{.code = "grace", .sentence = "The expiration must lie between \"Now\" and 7 days."};
  }
  if (form.rotated_at > now + kClockSkew) {
    return FormRefused{.code = "rotated_at", .sentence = "The time of the rotation lies in the future."};
  }
  // A click before /rotate is no mistake (a cancelled attempt, say), as long as the old key, which this
  // rotation found alive, can have been alive then.
  if (form.rotated_at + form.grace_chosen < s.started_at - kClockSkew) {
    return FormRefused{.code = "rotated_at",
                       .sentence =
                           "The old key would have expired before this rotation began, and it was "
                           "alive then. Check the time and the expiration."};
  }
  return std::nullopt;
}

RotationForm::RotationForm(rotation::Runner& runner, const rotation::Vault& vault,
                           const storage::Clock& clock)
    : runner_(runner), vault_(vault), clock_(clock) {}

std::shared_ptr<const State> RotationForm::behind(const std::string& token_hash) const {
  for (const auto& state : runner_.all()) {
    if (state->form && same_hash(state->form->issued.token_hash, token_hash)) return state;
  }
  return nullptr;
}

asio::awaitable<std::variant<FormInfo, FormClosed>> RotationForm::look(std::string token, std::string peer) {
  const auto state = behind(storage::sha256_hex(token));
  storage::wipe(token);
  if (!state) co_return FormClosed::unknown;
  if (const auto closed = why_closed(*state, clock_.now())) co_return *closed;
  if (!state->form->opened) {
    co_await runner_.change(state->id, state->operator_id, [peer](const State&, TimePoint) {
      return std::optional(Outcome{.events = {rotation::FormOpened{peer}}, .boxes = {}});
    });
  }
  co_return FormInfo{.target = state->target.name(),
                     .secret_name = state->target.store.name,
                     .dashboard_key_name = state->target.dashboard_key_name,
                     .operator_name = name_of_operator(*state),
                     .mode = state->target.mode,
                     .compromise = state->compromise,
                     .recommended_grace = state->planned_grace(),
                     .expires_at = state->form->issued.expires_at,
                     .attempts_left = kPasteAttempts - state->form->refused_pastes};
}

asio::awaitable<std::variant<FormReceived, FormRefused, FormClosed>> RotationForm::refuse(
    std::shared_ptr<const State> state, std::string token_hash, FormRefused refused) {
  std::optional<FormClosed> closed;
  co_await runner_.change(
      state->id, state->operator_id, [&](const State& s, TimePoint now) -> std::optional<Outcome> {
        closed = s.form && same_hash(s.form->issued.token_hash, token_hash) ? why_closed(s, now)
                                                                            : FormClosed::unknown;
        if (closed) return std::nullopt;
        refused.attempts_left = kPasteAttempts - s.form->refused_pastes - 1;
        return Outcome{.events = {rotation::PasteRefused{refused.code, refused.attempts_left}}, .boxes = {}};
      });
  if (closed) co_return *closed;
  co_return refused;
}

asio::awaitable<std::variant<FormReceived, FormRefused, FormClosed>> RotationForm::submit(
    FormSubmission form) {
  const std::string token_hash = storage::sha256_hex(form.token);
  storage::wipe(form.token);
  const auto state = behind(token_hash);
  if (!state) co_return FormClosed::unknown;
  if (const auto closed = why_closed(*state, clock_.now())) co_return *closed;

  std::string tidied = stripe::tidy_paste(form.pasted->expose());
  const storage::Secret key = storage::Secret::take(tidied);
  const auto kind = stripe::classify_paste(key.expose(), state->target.mode);
  if (kind != stripe::Pasted::restricted_key) {
    co_return co_await refuse(state, token_hash,
                              {.code = std::string(stripe::name_of(kind)),
                               .sentence = stripe::explain(kind, state->target.mode),
                               .attempts_left = 0,
                               .alarm = kind == stripe::Pasted::master_key});
  }
  const std::string fingerprint = vault_.fingerprint(key);
  if (auto refused = unwanted(*state, fingerprint))
    co_return co_await refuse(state, token_hash, std::move(*refused));
  // A wrong time is a slip of the form, not a wrong paste: it doesn't count towards the lock.
  if (auto refused = impossible(*state, form, clock_.now())) {
    refused->attempts_left = kPasteAttempts - state->form->refused_pastes;
    co_return *refused;
  }

  const rotation::KeyReceived received{.fingerprint = fingerprint,
                                       .grace_chosen = form.grace_chosen,
                                       .rotated_at = form.rotated_at,
                                       .old_key_expires_at = form.rotated_at + form.grace_chosen,
                                       .peer = form.peer};
  // Under the lock the link is looked at again: of a hundred posts at once, one wins.
  std::optional<FormClosed> closed;
  co_await runner_.change(
      state->id, state->operator_id, [&](const State& s, TimePoint now) -> std::optional<Outcome> {
        closed = s.form && same_hash(s.form->issued.token_hash, token_hash) ? why_closed(s, now)
                                                                            : FormClosed::used;
        if (closed) return std::nullopt;
        Outcome outcome;
        outcome.events.emplace_back(received);
        outcome.boxes.push_back(vault_.seal(s.id, rotation::kNewKey, key));
        return outcome;
      });
  if (closed) co_return *closed;
  co_return FormReceived{.fingerprint = fingerprint, .old_key_expires_at = received.old_key_expires_at};
}

}  // namespace keyturn::commands
