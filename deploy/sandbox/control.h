// The control server: one URL with the workspace page, and the JSON behind it that drives the whole sandbox
// for people, the player and the tests.
//   GET  /                     the page
//   GET  /events               server-sent: a tick whenever anything changed
//   GET  /state                everything ("?requests=all": with every remembered request, else the newest
//   50) GET  /places               where each system is, and what an auditor would log in to them with GET
//   /traffic              all bytes between the bot and Slack, as text GET  /drills               what can be
//   rehearsed (Rehearsal::list) POST /drill/start          {"name","play":true|false}: false lets a person do
//   it POST /drill/stop           {}: judged as it is POST /slack/command | click | submit | home | say |
//   person     see Interactions; the acknowledgement POST /slack/socket         {"do":"refresh"|...} see
//   SlackSockets::fault POST /stripe/rotate        {"name","mode"|"id","expires_in_seconds"} -> {"id","key"}:
//   shown only here POST /stripe/create        {"name","mode","permissions"} -> {"id","key"} POST
//   /stripe/expire        {"id"} POST /stripe/note          {"id","note"} POST /infisical/put
//   {"environment","name","value"}      as a person in its web page POST /heroku/config
//   {"app","name","value"}              as a person at the command line POST /fault
//   {"system":"slack"|"stripe"|..., "kind":...}      see the vendors' headers
// Thread: io only. What makes no sense is 400 {"error":"..."}; a request from another web site is 403.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "deploy/sandbox/rehearsal.h"
#include "deploy/sandbox/slack_world.h"
#include "deploy/sandbox/world.h"
#include "integrations/net/http_server.h"

namespace keyturn::sandbox {

// Where things are served: "stripe" -> "http://127.0.0.1:4001".
using Places = std::map<std::string, std::string>;

class Control {
 public:
  // References must outlive the servers that run the handler.
  Control(World& world, SlackWorld& slack, Rehearsal& rehearsal, const Places& places);
  net::Handler handler();

 private:
  using Json = nlohmann::json;
  using Act = std::function<Json(Control&, const Json&)>;
  using Request = std::shared_ptr<const net::ServerRequest>;

  boost::asio::awaitable<void> serve(Request request, net::Exchange& exchange);
  boost::asio::awaitable<void> stream_events(net::Exchange& exchange);
  net::Response read(const net::ServerRequest& request) const;
  boost::asio::awaitable<net::Response> act(Request request);
  boost::asio::awaitable<std::optional<Json>> act_in_slack(std::string path, Json wish);

  Json state() const;
  Json everything() const;
  Json places() const;
  Json rotate(const Json& wish);
  Json create(const Json& wish);
  Json change_vendor(const std::string& path, const Json& wish);
  std::string key_id(const Json& wish) const;

  World& world_;
  SlackWorld& slack_;
  Rehearsal& rehearsal_;
  const Places& places_;
};

}  // namespace keyturn::sandbox
