#include "deploy/sandbox/control.h"

#include <array>
#include <stdexcept>

#include "deploy/sandbox/page/assets.h"
#include "integrations/net/within.h"

namespace keyturn::sandbox {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr std::size_t kShownRequests = 50;
constexpr storage::Duration kStreamEvery = 150ms;
constexpr int kLooksBetweenComments = 100;  // a comment every 15 s keeps the connection alive

constexpr const char* kScript = "text/javascript; charset=utf-8";

struct Page {
  std::string_view path;
  const char* type;
  std::string_view (*content)();
};

constexpr std::array kPages = {
    Page{"/", "text/html; charset=utf-8", assets::workspace_html},
    Page{"/workspace.css", "text/css; charset=utf-8", assets::workspace_css},
    Page{"/workspace.js", kScript, assets::workspace_js},
    Page{"/blocks.js", kScript, assets::blocks_js},
    Page{"/composer.js", kScript, assets::composer_js},
    Page{"/dialogs.js", kScript, assets::dialogs_js},
    Page{"/dom.js", kScript, assets::dom_js},
    Page{"/faults.js", kScript, assets::faults_js},
    Page{"/mrkdwn.js", kScript, assets::mrkdwn_js},
    Page{"/server.js", kScript, assets::server_js},
    Page{"/slack.js", kScript, assets::slack_js},
    Page{"/stripe.js", kScript, assets::stripe_js},
    Page{"/worlds.js", kScript, assets::worlds_js},
};

constexpr const char* kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

net::Response page_response(const Page& page) {
  return {200,
          {{"Content-Type", page.type},
           {"Content-Security-Policy", kContentSecurityPolicy},
           {"Cache-Control", "no-store"},
           {"X-Content-Type-Options", "nosniff"},
           {"Referrer-Policy", "no-referrer"}},
          std::string(page.content())};
}

net::Response problem(int status, const std::string& what) {
  return json_response(status, {{"error", what}});
}

// The newest of each vendor's remembered requests: the page is asked for often.
void shorten_requests(json& state) {
  for (json& vendor : state) {
    if (!vendor.is_object() || !vendor.contains("requests")) continue;
    json& requests = vendor["requests"];
    while (requests.size() > kShownRequests) requests.erase(requests.begin());
  }
}

}  // namespace

Control::Control(World& world, SlackWorld& slack, Rehearsal& rehearsal, const Places& places)
    : world_(world), slack_(slack), rehearsal_(rehearsal), places_(places) {}

net::Handler Control::handler() {
  return [this](Request request, net::Exchange& exchange) { return serve(std::move(request), exchange); };
}

boost::asio::awaitable<void> Control::serve(Request request, net::Exchange& exchange) {
  // The sandbox trusts whoever reaches loopback, but not a web site that a browser happens to show.
  const bool foreign = request->header("Sec-Fetch-Site") == "cross-site" && request->path != "/";
  if (foreign) {
    co_await exchange.respond(problem(403, "not from another site"));
  } else if (request->path == "/events") {
    co_await stream_events(exchange);
  } else if (request->method == "GET" || request->method == "HEAD") {
    co_await exchange.respond(read(*request));
  } else if (request->method == "POST") {
    co_await exchange.respond(co_await act(request));
  } else {
    co_await exchange.respond(problem(405, "only GET and POST"));
  }
}

boost::asio::awaitable<void> Control::stream_events(net::Exchange& exchange) {
  co_await exchange.stream(200, {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-store"}});
  std::size_t seen = 0;
  try {
    for (int look = 1;; ++look) {
      const std::size_t now = std::hash<std::string>()(state().dump());
      if (now != seen) {
        co_await exchange.write("data: tick\n\n");
      } else if (look % kLooksBetweenComments == 0) {
        co_await exchange.write(": still here\n\n");
      }
      seen = now;
      co_await net::sleep_for(kStreamEvery);
    }
  } catch (const net::NetError&) {
    // The page was closed.
  }
}

net::Response Control::read(const net::ServerRequest& request) const {
  for (const Page& page : kPages) {
    if (request.path == page.path) return page_response(page);
  }
  if (request.path == "/places") return json_response(200, places());
  if (request.path == "/drills") return json_response(200, Rehearsal::list());
  if (request.path == "/traffic")
    return {200, {{"Content-Type", "text/plain; charset=utf-8"}}, slack_.traffic()};
  if (request.path != "/state") return problem(404, "there is no " + request.path);
  return json_response(200, request.query.contains("requests") ? everything() : state());
}

json Control::everything() const {
  json state = world_.state();
  state["slack"] = slack_.state();
  state["drill"] = rehearsal_.state();
  return state;
}

json Control::state() const {
  json state = everything();
  shorten_requests(state);
  return state;
}

json Control::places() const {
  const auto& viewer = world_.viewer_identity();
  return {{"places", places_},
          {"infisical",
           {{"client_id", viewer.client_id},
            {"client_secret", viewer.client_secret},
            {"project", world_.infisical.project()}}},
          {"heroku", {{"token", world_.heroku.token()}}}};
}

boost::asio::awaitable<net::Response> Control::act(Request request) {
  const json wish =
      json::parse(request->body.empty() ? "{}" : request->body, nullptr, /*allow_exceptions=*/false);
  if (!wish.is_object()) co_return problem(400, "the body is no JSON object");
  try {
    if (auto answer = co_await act_in_slack(request->path, wish)) co_return json_response(200, *answer);
    co_return json_response(200, change_vendor(request->path, wish));
  } catch (const std::invalid_argument& error) {
    co_return problem(400, error.what());
  } catch (const json::exception& error) {
    co_return problem(400, error.what());
  } catch (const std::out_of_range&) {
    co_return problem(404, "there is no " + request->path);
  }
}

// What people do in Slack; nothing for a path of another kind.
boost::asio::awaitable<std::optional<json>> Control::act_in_slack(std::string path, json wish) {
  if (path == "/slack/command") co_return co_await slack_.command(std::move(wish));
  if (path == "/slack/click") co_return co_await slack_.click(std::move(wish));
  if (path == "/slack/submit") co_return co_await slack_.submit(std::move(wish));
  if (path == "/slack/home") co_return co_await slack_.home(std::move(wish));
  if (path == "/slack/say") co_return co_await slack_.say(std::move(wish));
  if (path == "/slack/person") co_return co_await slack_.change_person(std::move(wish));
  co_return std::nullopt;
}

json Control::change_vendor(const std::string& path, const json& wish) {
  static const std::map<std::string, Act> kActs = {
      {"/slack/socket",
       [](Control& self, const json& socket_wish) {
         json knob = socket_wish;
         knob["kind"] = "socket";
         self.slack_.fault(knob);
         return json{{"ok", true}};
       }},
      {"/drill/start",
       [](Control& self, const json& drill) {
         self.rehearsal_.start(drill.at("name"), drill.value("play", true));
         return json{{"ok", true}};
       }},
      {"/drill/stop",
       [](Control& self, const json&) {
         self.rehearsal_.stop();
         return json{{"ok", true}};
       }},
      {"/stripe/rotate", [](Control& self, const json& key_wish) { return self.rotate(key_wish); }},
      {"/stripe/create", [](Control& self, const json& key_wish) { return self.create(key_wish); }},
      {"/stripe/expire",
       [](Control& self, const json& key_wish) {
         self.world_.stripe.expire(self.key_id(key_wish));
         return json{{"ok", true}};
       }},
      {"/stripe/note",
       [](Control& self, const json& key_wish) {
         self.world_.stripe.set_note(self.key_id(key_wish), key_wish.at("note"));
         return json{{"ok", true}};
       }},
      {"/infisical/put",
       [](Control& self, const json& secret) {
         const int version =
             self.world_.infisical.put(secret.at("environment"), secret.at("name"), secret.at("value"));
         return json{{"version", version}};
       }},
      {"/infisical/remove",
       [](Control& self, const json& secret) {
         self.world_.infisical.remove(secret.at("environment"), secret.at("name"));
         return json{{"ok", true}};
       }},
      {"/heroku/config",
       [](Control& self, const json& change) {
         std::optional<std::string> value;
         if (!change.at("value").is_null()) value = change.at("value").get<std::string>();
         const bool done =
             self.world_.heroku.set_config(change.at("app"), change.at("name"), value, "someone@raxx.app");
         if (!done) throw std::invalid_argument("there is no such app");
         return json{{"ok", true}};
       }},
      {"/heroku/rollback",
       [](Control& self, const json& wish) {
         const bool done =
             self.world_.heroku.roll_back(wish.at("app"), wish.at("version"), "someone@raxx.app");
         if (!done) throw std::invalid_argument("there is no such release");
         return json{{"ok", true}};
       }},
      {"/fault",
       [](Control& self, const json& knob) {
         const std::string system = knob.at("system");
         Vendor* vendor = system == "slack" ? &self.slack_ : self.world_.vendor(system);
         if (vendor == nullptr) throw std::invalid_argument("there is no system " + system);
         vendor->fault(knob);
         return json{{"ok", true}};
       }},
  };
  return kActs.at(path)(*this, wish);
}

// By "id", or our account's newest living key of a "name" in a "mode".
std::string Control::key_id(const json& wish) const {
  if (wish.contains("id")) return wish["id"];
  const std::string name = wish.at("name");
  const bool live = wish.value("mode", "live") == "live";
  const StripeKey* newest = nullptr;
  for (const StripeKey& key : world_.stripe.keys()) {
    const bool fits = key.name == name && key.live == live && key.account == kStripeAccount && !key.deleted &&
                      !key.expires_at;
    if (fits) newest = &key;
  }
  if (newest == nullptr) throw std::invalid_argument("no living key of that name and mode");
  return newest->id;
}

json Control::rotate(const json& wish) {
  const auto expires_in = std::chrono::milliseconds(
      static_cast<std::int64_t>(wish.at("expires_in_seconds").get<double>() * 1000));
  const StripeKey& key = world_.stripe.rotate(key_id(wish), expires_in);
  return {{"id", key.id}, {"key", key.value}};
}

json Control::create(const json& wish) {
  const StripeKey& key = world_.stripe.create({.live = wish.value("mode", "live") == "live",
                                               .account = wish.value("account", kStripeAccount),
                                               .name = wish.at("name"),
                                               .note = wish.value("note", ""),
                                               .permissions = wish.at("permissions")});
  return {{"id", key.id}, {"key", key.value}};
}

}  // namespace keyturn::sandbox
