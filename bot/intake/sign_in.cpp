#include "bot/intake/sign_in.h"

#include <openssl/crypto.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "bot/log.h"
#include "integrations/error.h"
#include "storage/fingerprint.h"
#include "storage/ids.h"

namespace keyturn::bot {
namespace {

constexpr std::chrono::minutes kAttemptLife{10};
constexpr std::chrono::minutes kSessionLife{15};
// More than any team has forms open; the oldest make room for the newest.
constexpr std::size_t kMost = 1000;
constexpr std::size_t kLongestCode = 512;

constexpr const char* kUnknownAttempt =
    "This sign-in has run out, was used before, or belongs to another link. No key was sent, and billing is "
    "untouched. Sign in again from the link in your direct message.";
constexpr const char* kNotConfirmed =
    "Slack did not confirm who you are. No key was sent, and billing is untouched. Sign in again; if that "
    "doesn't help, whoever runs Keyturn finds the reason in its log.";
constexpr const char* kNoAnswer =
    "Slack could not be asked who you are. No key was sent, and billing is untouched. Wait a moment, then "
    "sign in again.";

bool same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// 256 random bits, base64url.
std::string random_text() { return std::string(storage::new_token().expose()); }

// What has run out goes, and so does the oldest when there are too many.
template <typename Entry>
void remember(std::deque<Entry>& entries, Entry entry, storage::TimePoint now) {
  std::erase_if(entries, [&](const Entry& one) { return one.until <= now; });
  if (entries.size() >= kMost) entries.pop_front();
  entries.push_back(std::move(entry));
}

// "__Host-" is a browser's promise: set by this very host over https, for no other host and no other path
// (RFC 6265bis, 4.1.3.2).
std::string_view cookie_name(bool https) { return https ? "__Host-keyturn" : "keyturn"; }

std::string cookie(bool https, std::string_view id) {
  return fmt::format("{}={}; Path=/; {}HttpOnly; SameSite=Strict; Max-Age={}", cookie_name(https), id,
                     https ? "Secure; " : "", std::chrono::seconds(kSessionLife).count());
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Calls `look` with each value under that name: where there are several, any of them may be ours.
template <typename Look>
void each_cookie(std::string_view header, std::string_view name, Look look) {
  while (!header.empty()) {
    const std::string_view pair = trimmed(header.substr(0, header.find(';')));
    const auto equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == name) look(pair.substr(equals + 1));
    const auto end = header.find(';');
    header = end == std::string_view::npos ? std::string_view() : header.substr(end + 1);
  }
}

}  // namespace

SignIn::SignIn(slack::OpenIdClient client, Exchange exchange, const storage::Clock& clock)
    : client_(std::move(client)),
      exchange_(std::move(exchange)),
      clock_(clock),
      https_(client_.redirect_uri.starts_with("https://")) {}

std::string SignIn::begin(const std::string& link_hash) {
  Attempt attempt{.state = random_text(),
                  .nonce = random_text(),
                  .link_hash = link_hash,
                  .until = clock_.now() + kAttemptLife};
  std::string url = slack::authorize_url(client_, attempt.state, attempt.nonce);
  remember(attempts_, std::move(attempt), clock_.now());
  return url;
}

boost::asio::awaitable<std::expected<std::string, std::string>> SignIn::finish(std::string link_hash,
                                                                               std::string state,
                                                                               std::string code) {
  auto attempt = take_attempt(state, link_hash);
  if (!attempt || code.empty() || code.size() > kLongestCode) co_return std::unexpected(kUnknownAttempt);
  std::string reason;
  try {
    auto identity = co_await exchange_(std::move(code), std::move(attempt->nonce));
    if (identity) co_return open_session(std::move(identity->user), std::move(link_hash));
    log::warning("sign-in with Slack refused", {{"reason", identity.error()}});
    co_return std::unexpected(kNotConfirmed);
  } catch (const integrations::ApiError& error) {
    reason = error.what();
  }
  log::warning("sign-in with Slack failed", {{"reason", reason}});
  co_return std::unexpected(kNoAnswer);
}

std::optional<std::string> SignIn::user(std::string_view cookie_header, std::string_view link_hash) const {
  std::optional<std::string> found;
  const storage::TimePoint now = clock_.now();
  each_cookie(cookie_header, cookie_name(https_), [&](std::string_view id) {
    const std::string id_hash = storage::sha256_hex(id);
    for (const Session& session : sessions_) {
      const bool ours = same(session.id_hash, id_hash) && same(session.link_hash, link_hash);
      if (ours && now < session.until) found = session.user;
    }
  });
  return found;
}

// Taken out before anything is waited for, so that a second request with the same state finds nothing. With a
// wrong link it is spent too: nobody who is honest has the state of another link.
std::optional<SignIn::Attempt> SignIn::take_attempt(std::string_view state, std::string_view link_hash) {
  const auto found =
      std::ranges::find_if(attempts_, [&](const Attempt& one) { return same(one.state, state); });
  if (found == attempts_.end()) return std::nullopt;
  Attempt attempt = std::move(*found);
  attempts_.erase(found);
  if (clock_.now() >= attempt.until || !same(attempt.link_hash, link_hash)) return std::nullopt;
  return attempt;
}

std::string SignIn::open_session(std::string user, std::string link_hash) {
  const std::string id = random_text();
  remember(sessions_,
           Session{.id_hash = storage::sha256_hex(id),
                   .link_hash = std::move(link_hash),
                   .user = std::move(user),
                   .until = clock_.now() + kSessionLife},
           clock_.now());
  return cookie(https_, id);
}

}  // namespace keyturn::bot
