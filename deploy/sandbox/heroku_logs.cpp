// Log sessions: a pre-signed URL that answers the last lines and then, with tail, whatever comes.
#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "deploy/sandbox/heroku_answers.h"
#include "deploy/sandbox/heroku_world.h"
#include "deploy/sandbox/random_text.h"
#include "integrations/net/within.h"

namespace keyturn::sandbox {
namespace {

constexpr std::string_view kSessions = "/sessions/";
constexpr auto kTailEvery = std::chrono::milliseconds(50);
constexpr int kKeptLines = 1500;

bool wants_events(const net::ServerRequest& request) {
  return request.header("Accept").find("text/event-stream") != std::string::npos;
}

bool passes(const LogEntry& entry, const std::string& source, const std::string& dyno) {
  return (source.empty() || entry.source.starts_with(source + "[")) &&
         (dyno.empty() || entry.source.ends_with("[" + dyno + "]"));
}

net::Response session_refused(int status) {
  return {status, {{"Content-Type", "text/plain"}}, status == 404 ? "Not found" : "Refused"};
}

}  // namespace

net::Response HerokuWorld::open_log(const net::ServerRequest& request, HerokuApp& app) {
  const nlohmann::json body =
      nlohmann::json::parse(request.body.empty() ? "{}" : request.body, nullptr, /*allow_exceptions=*/false);
  if (!body.is_object()) return heroku_error(400, "bad_request", "Unable to parse the request body as JSON.");
  // Fir keeps no history and is always live; Cedar does as it is asked.
  sessions_.push_back({.id = random_uuid(),
                       .app = app.name,
                       .lines = app.fir ? 0 : std::clamp(body.value("lines", 100), 0, kKeptLines),
                       .tail = app.fir || body.value("tail", false),
                       .source = body.value("source", ""),
                       .dyno = body.value("dyno", body.value("dyno_name", "")),
                       .created = now()});
  const LogSession& session = sessions_.back();
  const std::string base = log_base_.empty() ? "http://" + request.header("Host") : log_base_;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now().time_since_epoch()).count();
  log_at(app, now(), "app[api]", fmt::format("Log session created by user {}", email_));
  return json_response(201,
                       {{"created_at", heroku_time(session.created)},
                        {"id", session.id},
                        {"logplex_url", fmt::format("{}{}{}?srv={}", base, kSessions, session.id, seconds)},
                        {"updated_at", heroku_time(session.created)}});
}

HerokuWorld::LogSession* HerokuWorld::usable_session(const std::string& id) {
  const auto found = std::find_if(sessions_.begin(), sessions_.end(),
                                  [&](const LogSession& session) { return session.id == id; });
  if (found == sessions_.end() || found->expired) return nullptr;
  const storage::TimePoint end =
      found->used ? *found->used + timing_.log_session_used : found->created + timing_.log_session_unused;
  return end <= now() ? nullptr : &*found;
}

boost::asio::awaitable<void> HerokuWorld::serve(std::shared_ptr<const net::ServerRequest> request,
                                                net::Exchange& exchange) {
  if (request->path.starts_with(kSessions) && request->method == "GET")
    co_await stream_log(std::move(request), exchange);
  else
    co_await exchange.respond(answer(*request));
}

boost::asio::awaitable<void> HerokuWorld::stream_log(std::shared_ptr<const net::ServerRequest> request,
                                                     net::Exchange& exchange) {
  advance();
  LogSession* session = usable_session(request->path.substr(kSessions.size()));
  if (session == nullptr || knobs_.log_refuse != 0) {
    co_await exchange.respond(session_refused(knobs_.log_refuse != 0 ? knobs_.log_refuse : 404));
    co_return;
  }
  if (!session->used) session->used = now();
  const HerokuApp& app = *find(session->app);  // apps and sessions stay where they are
  const std::uint64_t cuts = knobs_.log_cuts;
  const bool events = wants_events(*request);
  std::uint64_t after = first_shown(app, *session);
  co_await exchange.stream(
      200, {{"Content-Type", events ? "text/event-stream" : "text/plain"}, {"Connection", "close"}});
  try {
    while (usable_session(session->id) != nullptr) {
      advance();
      if (std::string batch = log_batch(app, *session, after, events); !batch.empty())
        co_await exchange.write(std::move(batch));
      if (!session->tail) break;
      co_await net::sleep_for(kTailEvery);
      if (knobs_.log_cuts == cuts) continue;
      exchange.abort();
      co_return;
    }
    co_await exchange.finish();
  } catch (const net::NetError&) {
    // The reader left; that is how a tail ends.
  }
}

std::uint64_t HerokuWorld::first_shown(const HerokuApp& app, const LogSession& session) const {
  int wanted = session.lines;
  for (auto entry = app.log.rbegin(); entry != app.log.rend(); ++entry) {
    if (wanted == 0) return entry->number;
    if (passes(*entry, session.source, session.dyno)) --wanted;
  }
  return app.log.empty() ? 0 : app.log.front().number - 1;
}

std::string HerokuWorld::log_batch(const HerokuApp& app, const LogSession& session, std::uint64_t& after,
                                   bool events) const {
  std::string batch;
  for (const LogEntry& entry : app.log) {
    if (entry.number <= after) continue;
    after = entry.number;
    if (!passes(entry, session.source, session.dyno)) continue;
    batch += events ? fmt::format("id: {}\ndata: {}\n\n", entry.number, entry.line) : entry.line + "\n";
  }
  return batch;
}

}  // namespace keyturn::sandbox
