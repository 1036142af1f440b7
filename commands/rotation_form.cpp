#include "commands/rotation_form.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "commands/views/form_progress.h"
#include "integrations/stripe/key_format.h"
#include "storage/base64url.h"

namespace keyturn::commands {

namespace asio = boost::asio;
using rotation::kPasteAttempts;
using rotation::Outcome;
using rotation::State;
using storage::TimePoint;

namespace {

constexpr storage::Duration kClockSkew = std::chrono::minutes(2);
constexpr storage::Duration kLongestGrace = std::chrono::hours(24 * 7);  // Stripe's own limit

// Who did what nobody has proven to be the operator's doing.
constexpr std::string_view kLinkHolder = "link_holder";

bool same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

bool newest_link(const State& s, const std::string& token_hash) {
  return s.form && same(s.form->issued.token_hash, token_hash);
}

// Why that link takes nothing, or nothing while it is open.
std::optional<FormClosed> why_closed(const State& s, const std::string& token_hash, TimePoint now) {
  if (!newest_link(s, token_hash))
    return same(s.received_link, token_hash) ? FormClosed::used : FormClosed::unknown;
  if (s.received) return FormClosed::used;
  if (!s.live() || s.cancelled_at || s.refused) return FormClosed::cancelled;
  if (s.form->refused_pastes >= kPasteAttempts) return FormClosed::locked;
  // A link without a key to seal to is of a program before this one: the operator asks for a new one.
  if (now >= s.form->issued.expires_at || s.form->issued.public_key.empty()) return FormClosed::expired;
  return std::nullopt;
}

// A lost answer: the same message comes again, and it is the same handover.
std::optional<FormReceived> received_already(const State& s, const std::string& sealed_hash) {
  if (!s.received || !same(s.received->event.sealed_hash, sealed_hash)) return std::nullopt;
  return FormReceived{.fingerprint = s.received->event.fingerprint,
                      .old_key_expires_at = s.received->event.old_key_expires_at};
}

std::string hash_of(const storage::hpke::Message& message) {
  return storage::sha256_hex(std::to_string(message.encapsulated_key.size()) + ":" +
                             message.encapsulated_key + message.ciphertext);
}

int attempts_left(const State& s) { return s.form ? kPasteAttempts - s.form->refused_pastes : 0; }

}  // namespace

std::string_view name_of(FormClosed closed) {
  switch (closed) {
    case FormClosed::unknown:
      return "unknown";
    case FormClosed::expired:
      return "expired";
    case FormClosed::used:
      return "used";
    case FormClosed::locked:
      return "locked";
    case FormClosed::cancelled:
      return "cancelled";
  }
  return "unknown";
}

std::optional<FormRefused> unwanted(const State& s, const std::string& fingerprint) {
  if (s.current && fingerprint == s.current->event.fingerprint) {
    return FormRefused{
        .code = "same_key",
        .sentence = s.recovery()
                        ? "This is the key that Stripe refuses. Paste the fresh one, which the dashboard "
                          "shows once, right after \"Create key\"."
                        : "This is the key that is in use now. Paste the new one, which the dashboard shows "
                          "once, right after \"Rotate API key\"."};
  }
  if (s.rejected_fingerprints.contains(fingerprint)) {
    return FormRefused{
        .code = "rejected_key",
        .sentence = s.recovery()
                        ? "This key was pasted before and didn't pass validation. Create another one, as the "
                          "steps say, and paste that."
                        : "This key was pasted before and didn't pass validation. Paste the key that the "
                          "rotation of the right restricted key showed."};
  }
  return std::nullopt;
}

std::optional<FormRefused> impossible(const State& s, const Handover& handover, TimePoint now) {
  if (s.recovery()) return std::nullopt;  // nothing was rotated, and no grace was chosen
  if (handover.grace_chosen < storage::Duration::zero() || handover.grace_chosen > kLongestGrace) {
    return FormRefused{.code = "grace", .sentence = "The expiration must lie between \"Now\" and 7 days."};
  }
  if (handover.rotated_at > now + kClockSkew) {
    return FormRefused{.code = "rotated_at", .sentence = "The time of the rotation lies in the future."};
  }
  // A click before /rotate is no mistake (a cancelled attempt, say), as long as the old key, which this
  // rotation found alive, can have been alive then.
  if (handover.rotated_at + handover.grace_chosen < s.started_at - kClockSkew) {
    return FormRefused{.code = "rotated_at",
                       .sentence =
                           "The old key would have expired before this rotation began, and it was "
                           "alive then. Check the time and the expiration."};
  }
  return std::nullopt;
}

RotationForm::RotationForm(rotation::Runner& runner, const rotation::Vault& vault,
                           const storage::Clock& clock, FormProof proof)
    : runner_(runner), vault_(vault), clock_(clock), proof_(proof) {}

RotationForm::StatePointer RotationForm::behind(const std::string& token_hash) const {
  for (const auto& state : runner_.all()) {
    if (newest_link(*state, token_hash) || same(state->received_link, token_hash)) return state;
  }
  return nullptr;
}

std::optional<SignInNeeded> RotationForm::stranger(const State& state, const FormVisitor& visitor) const {
  if (proof_ != FormProof::sign_in || visitor.signed_in_as == state.operator_id) return std::nullopt;
  return SignInNeeded{.operator_name = state.operator_name(),
                      .another_person = !visitor.signed_in_as.empty()};
}

// A rotation that is over keeps its journal as it ended, and one that goes on isn't filled by a stranger.
asio::awaitable<void> RotationForm::turn_away(StatePointer state, std::string peer, std::string_view why) {
  co_await runner_.change(
      state->id, std::string(kLinkHolder), [&](const State& s, TimePoint now) -> std::optional<Outcome> {
        if (!s.notes_turned_away(now)) return std::nullopt;
        return Outcome{.events = {rotation::FormTurnedAway{.peer = peer, .why = std::string(why)}},
                       .boxes = {}};
      });
}

asio::awaitable<FormLook> RotationForm::look(std::string token, FormVisitor visitor) {
  const std::string token_hash = storage::sha256_hex(token);
  storage::wipe(token);
  const auto state = behind(token_hash);
  if (!state) co_return FormClosed::unknown;
  if (const auto needed = stranger(*state, visitor)) {
    if (needed->another_person) co_await turn_away(state, visitor.peer, "another_person");
    co_return *needed;
  }
  std::optional<FormClosed> closed;
  std::vector<FormInfo::Opening> before;
  co_await runner_.change(state->id, std::string(kLinkHolder),
                          [&](const State& s, TimePoint now) -> std::optional<Outcome> {
                            closed = why_closed(s, token_hash, now);
                            if (closed) return std::nullopt;
                            for (const auto& opening : s.form->openings)
                              before.push_back({opening.at, opening.event.peer});
                            return Outcome{.events = {rotation::FormOpened{visitor.peer}}, .boxes = {}};
                          });
  if (closed) {
    co_await turn_away(state, visitor.peer, name_of(*closed));
    co_return *closed;
  }
  co_return FormInfo{.rotation = state->id,
                     .operator_id = state->operator_id,
                     .public_key = state->form->issued.public_key,
                     .target = state->target.name(),
                     .secret_name = state->target.store.name,
                     .dashboard_key_name = state->target.dashboard_key_name,
                     .operator_name = state->operator_name(),
                     .mode = state->target.mode,
                     .compromise = state->compromise,
                     .recovery = state->recovery(),
                     .asks_code = proof_ == FormProof::code,
                     .recommended_grace = state->planned_grace(),
                     .expires_at = state->form->issued.expires_at,
                     .attempts_left = attempts_left(*state),
                     .opened_before = std::move(before)};
}

asio::awaitable<FormAnswer> RotationForm::submit(SealedSubmission submission) {
  Case way{.state = behind(storage::sha256_hex(submission.token)),
           .token_hash = storage::sha256_hex(submission.token),
           .sealed_hash = hash_of(submission.message),
           .peer = submission.visitor.peer};
  if (!way.state) co_return FormClosed::unknown;
  if (const auto needed = stranger(*way.state, submission.visitor)) {
    co_await turn_away(way.state, way.peer, needed->another_person ? "another_person" : "not_signed_in");
    co_return *needed;
  }
  if (const auto already = received_already(*way.state, way.sealed_hash)) co_return *already;
  if (const auto closed = why_closed(*way.state, way.token_hash, clock_.now())) {
    co_await turn_away(way.state, way.peer, name_of(*closed));
    co_return *closed;
  }
  auto opened = co_await open(way, std::move(submission));
  if (auto* refused = std::get_if<FormRefused>(&opened)) co_return std::move(*refused);
  if (const auto* closed = std::get_if<FormClosed>(&opened)) co_return *closed;
  co_return co_await take(std::move(way), std::get<Handover>(std::move(opened)));
}

// What doesn't open is nobody's wrong paste: it costs no attempt.
asio::awaitable<RotationForm::Opened> RotationForm::open(Case way, SealedSubmission submission) {
  const State& s = *way.state;
  storage::SharedSecret private_key;
  std::exception_ptr missing;
  try {
    private_key = co_await vault_.open(s.id, std::string(rotation::kFormKey));
  } catch (...) {
    missing = std::current_exception();
  }
  if (missing) {
    // Destroyed a moment ago, together with what closed the link.
    if (const auto closed = why_closed(*runner_.find(s.id), way.token_hash, clock_.now())) co_return *closed;
    std::rethrow_exception(missing);
  }
  const storage::hpke::KeyPair recipient{
      .private_key = private_key->clone(),
      .public_key = storage::from_base64url(s.form->issued.public_key).value_or("")};
  const std::string binding = form_binding(s.id, s.operator_id, submission.token);
  storage::wipe(submission.token);
  const auto plain =
      storage::hpke::open(recipient, submission.message, {.info = kFormInfo, .associated_data = binding});
  if (!plain) {
    co_await turn_away(way.state, way.peer, "unsealable");
    co_return FormRefused{.code = "unsealable",
                          .sentence =
                              "What the page sent can't be opened with this link's key. Open the link "
                              "again from your direct message and paste the key once more.",
                          .attempts_left = attempts_left(s)};
  }
  auto handover = read_handover(*plain);
  if (handover) co_return *std::move(handover);
  co_return FormRefused{.code = "malformed", .sentence = handover.error(), .attempts_left = attempts_left(s)};
}

asio::awaitable<FormAnswer> RotationForm::refuse(Case way, std::string actor, FormRefused refused) {
  std::optional<FormClosed> closed;
  co_await runner_.change(
      way.state->id, std::move(actor), [&](const State& s, TimePoint now) -> std::optional<Outcome> {
        closed = why_closed(s, way.token_hash, now);
        if (closed) return std::nullopt;
        refused.attempts_left = attempts_left(s) - 1;
        return Outcome{.events = {rotation::PasteRefused{refused.code, refused.attempts_left}}, .boxes = {}};
      });
  if (closed) co_return *closed;
  co_return refused;
}

asio::awaitable<FormAnswer> RotationForm::take(Case way, Handover handover) {
  const State& s = *way.state;
  std::string tidied = stripe::tidy_paste(handover.pasted.expose());
  storage::Secret key = storage::Secret::take(tidied);
  const auto kind = stripe::classify_paste(key.expose(), s.target.mode);
  const bool alarm = kind == stripe::Pasted::master_key;
  const bool proven =
      proof_ == FormProof::sign_in || same(digits_of(handover.code), vault_.form_code(way.token_hash));
  const std::string actor = proven ? s.operator_id : std::string(kLinkHolder);
  // A master key in somebody's hands is an alarm whoever it is; to anybody else, a wrong code tells nothing
  // more.
  if (!proven && !alarm) {
    co_return co_await refuse(
        std::move(way), actor,
        {.code = "wrong_code",
         .sentence =
             "The code is not the one of this link. It stands in your direct message with Keyturn, below "
             "the link: six digits."});
  }
  if (kind != stripe::Pasted::restricted_key) {
    co_return co_await refuse(std::move(way), actor,
                              {.code = std::string(stripe::name_of(kind)),
                               .sentence = stripe::explain(kind, s.target.mode),
                               .attempts_left = 0,
                               .alarm = alarm});
  }
  const std::string fingerprint = vault_.fingerprint(key);
  if (auto refused = unwanted(s, fingerprint))
    co_return co_await refuse(std::move(way), actor, std::move(*refused));
  // A wrong time is a slip of the form, not a wrong paste: it doesn't count towards the lock.
  if (auto refused = impossible(s, handover, clock_.now())) {
    refused->attempts_left = attempts_left(s);
    co_return *refused;
  }
  if (s.recovery()) {
    handover.grace_chosen = storage::Duration::zero();  // the old key is dead, whatever a page may send
    handover.rotated_at = clock_.now();
  }
  rotation::KeyReceived received{.fingerprint = fingerprint,
                                 .grace_chosen = handover.grace_chosen,
                                 .rotated_at = handover.rotated_at,
                                 .old_key_expires_at = handover.rotated_at + handover.grace_chosen,
                                 .peer = way.peer,
                                 .sealed_hash = way.sealed_hash};
  co_return co_await keep(std::move(way), std::move(key), std::move(received));
}

// Under the lock the link is looked at again: of a hundred posts at once, one wins.
asio::awaitable<FormAnswer> RotationForm::keep(Case way, storage::Secret key,
                                               rotation::KeyReceived received) {
  std::optional<FormClosed> closed;
  std::optional<FormReceived> already;
  co_await runner_.change(way.state->id, way.state->operator_id,
                          [&](const State& s, TimePoint now) -> std::optional<Outcome> {
                            already = received_already(s, way.sealed_hash);
                            closed = why_closed(s, way.token_hash, now);
                            if (already || closed) return std::nullopt;
                            Outcome outcome;
                            outcome.events.emplace_back(received);
                            outcome.boxes.push_back(vault_.seal(s.id, rotation::kNewKey, key));
                            return outcome;
                          });
  if (already) co_return *already;
  if (closed) {
    co_await turn_away(way.state, way.peer, name_of(*closed));
    co_return *closed;
  }
  co_return FormReceived{.fingerprint = received.fingerprint,
                         .old_key_expires_at = received.old_key_expires_at};
}

std::optional<FormProgress> RotationForm::progress(std::string_view token) const {
  const std::string token_hash = storage::sha256_hex(token);
  const auto state = behind(token_hash);
  if (!state || !same(state->received_link, token_hash)) return std::nullopt;
  return views::form_progress(*state, clock_.now());
}

}  // namespace keyturn::commands
