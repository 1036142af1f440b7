// What the bot counts, for Prometheus (text format, served at /metrics). One object, handed to whoever
// counts. Thread: any.
#pragma once

#include <memory>
#include <string>

#include "storage/clock.h"

namespace keyturn::bot {

class Metrics {
 public:
  Metrics();
  ~Metrics();
  void rotations_open(const std::string& state, int count);  // gauge keyturn_rotations{state}
  void drifts_open(int count);                               // gauge keyturn_drifts
  void rotation_closed(const std::string& outcome);  // counter keyturn_rotations_closed_total{outcome}
  void step_took(const std::string& step,
                 storage::Duration duration);  // histogram keyturn_step_seconds{step}
  void acknowledged(storage::Duration since_delivery,
                    bool sent);                // histogram keyturn_ack_seconds, counter ..._failed
  void socket_link(const std::string& state);  // gauge keyturn_slack_ready, counter reconnects
  void socket_connections(int reported,
                          int held);  // gauges keyturn_slack_num_connections, keyturn_slack_connections_held
  void api_call(const std::string& system, const std::string& operation, const std::string& outcome);
  void form(const std::string& event);  // counter keyturn_form_total{event}: looked, received, refused, ...
  std::string text() const;             // the exposition

 private:
  struct Families;
  std::unique_ptr<Families> families_;
};

}  // namespace keyturn::bot
