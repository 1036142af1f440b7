// The whole bot: builds every part, wires them, runs them, and takes them down again in order.
// Thread: one, the caller's, inside run().
#pragma once

#include <memory>

#include "bot/config.h"

namespace keyturn::bot {

class App {
 public:
  // Opens the journal and folds it. Throws std::exception in words for the person who starts the bot.
  App(Config config, Secrets secrets);
  ~App();

  // Until SIGTERM or SIGINT (then 0), or until it can't go on (then 1; the log says why).
  int run();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace keyturn::bot
