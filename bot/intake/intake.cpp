#include "bot/intake/intake.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "bot/intake/assets.h"
#include "bot/intake/protocol.h"
#include "bot/log.h"
#include "integrations/net/client_address.h"
#include "storage/fingerprint.h"

namespace keyturn::bot {

namespace {

constexpr std::size_t kLongestBody = 16UL * 1024;

constexpr const char* kScript = "text/javascript; charset=utf-8";

struct Page {
  std::string_view path;
  const char* type;
  std::string_view (*content)();
};

constexpr std::array kPages = {
    Page{"/form", "text/html; charset=utf-8", assets::page_html},
    Page{"/form/form.js", kScript, assets::form_js},
    Page{"/form/clipboard.js", kScript, assets::clipboard_js},
    Page{"/form/closed.js", kScript, assets::closed_js},
    Page{"/form/expiration.js", kScript, assets::expiration_js},
    Page{"/form/hpke.js", kScript, assets::hpke_js},
    Page{"/form/key_field.js", kScript, assets::key_field_js},
    Page{"/form/link.js", kScript, assets::link_js},
    Page{"/form/message.js", kScript, assets::message_js},
    Page{"/form/page.js", kScript, assets::page_js},
    Page{"/form/paste.js", kScript, assets::paste_js},
    Page{"/form/progress.js", kScript, assets::progress_js},
    Page{"/form/server.js", kScript, assets::server_js},
    Page{"/form/stop.js", kScript, assets::stop_js},
    Page{"/form/words.js", kScript, assets::words_js},
    Page{"/form/style.css", "text/css; charset=utf-8", assets::style_css},
};

// Nothing but our own files, no frames, nowhere to send a form by itself. `require-trusted-types-for`:
// the script writes text only, so any sink for markup may as well be closed.
constexpr const char* kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

void add_security_headers(net::Headers& headers, bool hsts) {
  headers.insert(headers.end(), {{"Content-Security-Policy", kContentSecurityPolicy},
                                 {"Cache-Control", "no-store"},
                                 {"Referrer-Policy", "no-referrer"},
                                 {"X-Content-Type-Options", "nosniff"},
                                 {"X-Frame-Options", "DENY"},
                                 {"Cross-Origin-Opener-Policy", "same-origin"},
                                 {"Cross-Origin-Embedder-Policy", "require-corp"},
                                 {"Cross-Origin-Resource-Policy", "same-origin"},
                                 {"X-Robots-Tag", "noindex, nofollow"},
                                 {"Permissions-Policy",
                                  "camera=(), clipboard-read=(), display-capture=(), geolocation=(), "
                                  "microphone=(), payment=(), usb=()"}});
  if (hsts) headers.emplace_back("Strict-Transport-Security", "max-age=31536000");
}

net::Response plain(int status, std::string text) {
  return {status, {{"Content-Type", "text/plain; charset=utf-8"}}, std::move(text)};
}

net::Response answer_of(int status, std::string body) {
  return {status, {{"Content-Type", "application/json"}}, std::move(body)};
}

net::Response not_allowed(const char* allowed) {
  net::Response response = plain(405, std::string("only ") + allowed + "\n");
  response.headers.emplace_back("Allow", allowed);
  return response;
}

bool is_post_path(std::string_view path) {
  return path == "/form/look" || path == "/form/sign-in" || path == "/form/submit" ||
         path == "/form/progress";
}

bool same_letters(std::string_view one, std::string_view other) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [&](char a, char b) { return lower(a) == lower(b); });
}

bool is_json(const std::string& content_type) {
  const std::string_view type = std::string_view(content_type).substr(0, content_type.find(';'));
  return same_letters(type.substr(0, type.find_last_not_of(" \t") + 1), "application/json");
}

// Browsers say where a request comes from; what isn't a browser has no borrowed rights that could be abused.
bool from_our_page(const net::ServerRequest& request) {
  const std::string site = request.header("Sec-Fetch-Site");
  if (!site.empty()) return site == "same-origin";
  const std::string origin = request.header("Origin");
  if (origin.empty()) return true;
  const auto scheme_end = origin.find("://");
  return scheme_end != std::string::npos &&
         same_letters(origin.substr(scheme_end + 3), request.header("Host"));
}

// The last address is the one that our proxy appended; the ones before it are the client's own words.
std::string last_forwarded(const net::Headers& headers) {
  std::string last;
  for (const auto& [name, value] : headers) {
    if (!same_letters(name, "X-Forwarded-For")) continue;
    const auto comma = value.find_last_of(", ");
    last = comma == std::string::npos ? value : value.substr(comma + 1);
  }
  return last;
}

// Nothing for what is no address: it would go into the journal, and be shown to whoever opens the link next.
std::optional<boost::asio::ip::address> read_address(const std::string& text) {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(text, error);
  return error ? std::nullopt : std::optional(address);
}

std::string peer_of(const net::ServerRequest& request, bool behind_proxy) {
  const auto forwarded = behind_proxy ? read_address(last_forwarded(request.headers)) : std::nullopt;
  return forwarded ? forwarded->to_string() : request.peer;
}

// By what a peer's posts are counted.
std::string counted_as(const std::string& peer) {
  const auto address = read_address(peer);
  return address ? net::one_client(*address).to_string() : peer;
}

}  // namespace

Intake::Intake(commands::FormDesk& desk, bool hsts, Observer observer, IntakeOptions options)
    : desk_(desk),
      hsts_(hsts),
      observer_(std::move(observer)),
      options_(options),
      limit_(options.posts_a_minute, std::chrono::minutes(1)),
      link_limit_(options.posts_a_minute, std::chrono::minutes(1)),
      progress_limit_(options.progress_a_minute, std::chrono::minutes(1)) {}

net::Handler Intake::handler() {
  return [this](Request request, net::Exchange& exchange) { return serve(std::move(request), exchange); };
}

storage::TimePoint Intake::now() const {
  return options_.clock != nullptr ? options_.clock->now() : storage::SystemClock().now();
}

net::Response Intake::refuse(const char* event, int status, std::string_view state,
                             std::string_view sentence) const {
  observer_(event);
  return answer_of(status, to_json(state, sentence));
}

boost::asio::awaitable<void> Intake::serve(Request request, net::Exchange& exchange) {
  const bool head = request->method == "HEAD";
  net::Response response = co_await answer(std::move(request));
  add_security_headers(response.headers, hsts_);
  if (head) response.body.clear();
  co_await exchange.respond(std::move(response));
}

boost::asio::awaitable<net::Response> Intake::answer(Request request) {
  for (const Page& page : kPages) {
    if (request->path != page.path) continue;
    if (request->method != "GET" && request->method != "HEAD") co_return not_allowed("GET, HEAD");
    co_return net::Response{200, {{"Content-Type", page.type}}, std::string(page.content())};
  }
  if (!is_post_path(request->path)) co_return plain(404, "not found\n");
  if (request->method != "POST") co_return not_allowed("POST");
  std::string peer = peer_of(*request, options_.behind_proxy);
  co_return co_await answer_post(std::move(request), std::move(peer));
}

boost::asio::awaitable<net::Response> Intake::answer_post(Request request, std::string peer) {
  RateLimit& limit = request->path == "/form/progress" ? progress_limit_ : limit_;
  if (!limit.allow(counted_as(peer), now())) co_return limited();
  if (!from_our_page(*request)) {
    co_return refuse("cross_site", 403, "malformed",
                     "Another site sent this. Open the link from your direct message.");
  }
  if (!is_json(request->header("Content-Type"))) {
    co_return refuse("malformed", 415, "malformed", "Only application/json is understood here.");
  }
  if (request->body.size() > kLongestBody) {
    co_return refuse("malformed", 413, "malformed",
                     "That is too long to be a key. Copy only the key and try again.");
  }
  std::string reason;
  try {
    co_return co_await dispatch(std::move(request), std::move(peer));
  } catch (const std::exception& error) {
    reason = error.what();
  }
  log::error("form request failed", {{"reason", reason}});
  co_return refuse(
      "unavailable", 503, "unavailable",
      "Keyturn could not confirm that it took this. Keep the key, wait a moment, and send it again: "
      "twice is harmless.");
}

boost::asio::awaitable<net::Response> Intake::dispatch(Request request, std::string peer) {
  if (request->path == "/form/look") co_return co_await look(std::move(request), std::move(peer));
  if (request->path == "/form/sign-in") co_return co_await sign_in(std::move(request));
  if (request->path == "/form/progress") co_return progress(*request);
  co_return co_await submit(std::move(request), std::move(peer));
}

net::Response Intake::limited() const {
  net::Response response = refuse("limited", 429, "limited", "Too many tries. Wait a minute and try again.");
  response.headers.emplace_back("Retry-After", "60");
  return response;
}

// Whoever tries from many addresses still has one link.
bool Intake::too_often(const std::string& token) {
  return !link_limit_.allow(storage::sha256_hex(token), now());
}

commands::FormVisitor Intake::visitor(const net::ServerRequest& request, std::string peer,
                                      const std::string& token) const {
  commands::FormVisitor visitor{.peer = std::move(peer), .signed_in_as = {}};
  if (options_.sign_in != nullptr) {
    visitor.signed_in_as =
        options_.sign_in->user(request.header("Cookie"), storage::sha256_hex(token)).value_or("");
  }
  return visitor;
}

net::Response Intake::wants_sign_in(int status, const commands::SignInNeeded& needed,
                                    const std::string& link) {
  observer_("sign_in");
  const std::string authorize = options_.sign_in != nullptr ? options_.sign_in->begin(link) : "";
  return answer_of(status, to_json(needed, authorize));
}

boost::asio::awaitable<net::Response> Intake::look(Request request, std::string peer) {
  auto token = read_token(request->body);
  if (!token) co_return refuse("malformed", 400, "malformed", token.error().sentence);
  if (too_often(*token)) co_return limited();
  const std::string link = storage::sha256_hex(*token);
  auto who = visitor(*request, std::move(peer), *token);
  const auto seen = co_await desk_.look(*std::move(token), std::move(who));
  if (const auto* needed = std::get_if<commands::SignInNeeded>(&seen))
    co_return wants_sign_in(200, *needed, link);
  if (const auto* closed = std::get_if<commands::FormClosed>(&seen)) {
    observer_("closed");
    co_return answer_of(200, to_json(*closed));
  }
  observer_("looked");
  co_return answer_of(200, to_json(std::get<commands::FormInfo>(seen), now()));
}

boost::asio::awaitable<net::Response> Intake::sign_in(Request request) {
  if (options_.sign_in == nullptr) co_return plain(404, "not found\n");
  auto brought = read_sign_in(request->body);
  if (!brought) co_return refuse("malformed", 400, "malformed", brought.error().sentence);
  if (too_often(brought->token)) co_return limited();
  const auto signed_in = co_await options_.sign_in->finish(
      storage::sha256_hex(brought->token), std::move(brought->state), std::move(brought->code));
  if (!signed_in) co_return refuse("refused", 403, "refused", signed_in.error());
  observer_("signed_in");
  net::Response response = answer_of(200, to_json("signed_in", ""));
  response.headers.emplace_back("Set-Cookie", *signed_in);
  co_return response;
}

boost::asio::awaitable<net::Response> Intake::submit(Request request, std::string peer) {
  auto form = read_submission(request->body);
  if (!form) co_return refuse("malformed", 400, "malformed", form.error().sentence);
  if (too_often(form->token)) co_return limited();
  const std::string link = storage::sha256_hex(form->token);
  form->visitor = visitor(*request, std::move(peer), form->token);
  request.reset();
  const auto outcome = co_await desk_.submit(*std::move(form));
  if (const auto* received = std::get_if<commands::FormReceived>(&outcome)) {
    observer_("received");
    co_return answer_of(200, to_json(*received));
  }
  if (const auto* refused = std::get_if<commands::FormRefused>(&outcome)) {
    observer_("refused");
    co_return answer_of(422, to_json(*refused));
  }
  if (const auto* needed = std::get_if<commands::SignInNeeded>(&outcome))
    co_return wants_sign_in(401, *needed, link);
  observer_("closed");
  co_return answer_of(410, to_json(std::get<commands::FormClosed>(outcome)));
}

net::Response Intake::progress(const net::ServerRequest& request) {
  const auto token = read_token(request.body);
  if (!token) return refuse("malformed", 400, "malformed", token.error().sentence);
  const auto progress = desk_.progress(*token);
  return answer_of(200, progress ? to_json(*progress, now()) : to_json(commands::FormClosed::unknown));
}

}  // namespace keyturn::bot
