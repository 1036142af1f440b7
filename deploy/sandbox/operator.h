// One operator's hands and eyes, with nothing but what an operator has: Slack, the vendors' pages (all
// through the control server), and the one-time form. Tells everything that it does and reads. The player and
// the drills act through this. Thread: io only. Failure: Stuck, when what it waits for doesn't come;
// net::NetError when nobody answers.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>

#include "integrations/net/http_client.h"
#include "storage/clock.h"

namespace keyturn::sandbox {

inline constexpr const char* kOperator = "U0ADMIN";
inline constexpr const char* kOperatorsDirect = "D0ADMIN";

// The play can't go on; `what` is the reason, for the transcript.
struct Stuck : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// "what happens" as a line of the transcript: who ("ada", "DM", "form"), and what.
using Tell = std::function<void(const std::string& who, const std::string& what)>;

class Operator {
 public:
  // `control`: "http://127.0.0.1:4000". Waits for nothing longer than `limit`.
  Operator(boost::asio::any_io_executor io, std::string control, storage::Duration limit, Tell tell);

  // Learns where everything is. What stands in Slack by now belongs to earlier rotations: it is neither told
  // nor waited for.
  boost::asio::awaitable<void> arrive();
  net::HttpClient& http() { return http_; }
  const nlohmann::json& places() const { return places_; }

  // "/rotate <text>"; the answer that only the operator sees.
  boost::asio::awaitable<std::string> type(std::string text);
  // "/rotate <text>" that begins a rotation. One that is not over is cancelled, or waited for, first.
  boost::asio::awaitable<void> start(std::string text);
  boost::asio::awaitable<void> tick_boxes();
  // The grace that the form asks for.
  boost::asio::awaitable<std::chrono::seconds> instructed_grace();
  // The dashboard's "Rotate key" with that expiration (zero: "Now"), and its note; the new key.
  boost::asio::awaitable<std::string> rotate_in_dashboard(std::chrono::seconds expiration);
  // Through the newest link's form, as its page does: {"state":"received"|"refused"|..., "sentence"?}.
  boost::asio::awaitable<nlohmann::json> paste(std::string key, std::chrono::seconds grace);
  // The same, and stuck unless it was received.
  boost::asio::awaitable<void> hand_over(std::string key, std::chrono::seconds grace);
  // The newest button with that action in the operator's direct messages.
  boost::asio::awaitable<void> press(std::string action_id, std::string words);
  // Until a message in that channel says so.
  boost::asio::awaitable<void> hears(std::string channel, std::string words);
  // Anything else that a person does, or that breaks: a path of the control server.
  boost::asio::awaitable<nlohmann::json> does(std::string path, nlohmann::json wish);
  // Lets that time pass, reading along.
  boost::asio::awaitable<void> waits(storage::Duration time);
  void tell(const std::string& who, const std::string& what) const { tell_(who, what); }

 private:
  using Wanted = std::function<bool(const nlohmann::json& message)>;
  struct Link {
    nlohmann::json message;  // that shows it
    std::string origin, token;
  };

  boost::asio::awaitable<nlohmann::json> ask(std::string method, std::string url, nlohmann::json body);
  boost::asio::awaitable<nlohmann::json> wait_for(std::string channel, std::string what, Wanted wanted);
  boost::asio::awaitable<void> observe();
  boost::asio::awaitable<Link> link();
  boost::asio::awaitable<nlohmann::json> look_at(Link link);
  void tell_new_lines(const std::string& where, const nlohmann::json& message);

  std::string control_;
  storage::Duration limit_;
  Tell tell_;
  storage::SystemClock clock_;
  net::HttpClient http_;
  nlohmann::json places_, state_;
  std::string mode_ = "live";
  storage::TimePoint rotated_at_{};
  std::set<std::string> used_;    // tokens of links that took a key
  std::set<std::string> told_;    // lines; what stands in the channel and in the DM is told once
  std::set<std::string> before_;  // messages of earlier rotations
};

}  // namespace keyturn::sandbox
