// Who is a superadmin: user ids from the settings, members of a user group, or both. Fails closed: a group
// that can't be read makes nobody a superadmin. Thread: io only.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "integrations/slack/web_api.h"
#include "storage/clock.h"

namespace keyturn::commands {

enum class Standing {
  superadmin,
  other,    // known, and not among them
  unknown,  // the group could not be read: treated as not allowed, and said so
};

struct NotAllowed {
  std::string code;  // in the journal
  std::string sentence;
};
// Why somebody of that standing may not; nothing: a superadmin may. `what`: "roll back a rotation".
std::optional<NotAllowed> not_allowed(Standing standing, std::string_view what);

class Authority {
 public:
  // References must outlive this. `group` may be empty.
  Authority(slack::WebApi& api, const storage::Clock& clock, std::vector<std::string> superadmins,
            std::string group);

  // A member list is at most a minute old; a read takes at most 1.5 s, so that a command is answered in time.
  boost::asio::awaitable<Standing> standing(std::string user);
  // Everybody who is known to be one; without the group's members while that can't be read.
  boost::asio::awaitable<std::vector<std::string>> superadmins();
  // Everybody; nothing while the group can't be read.
  boost::asio::awaitable<std::optional<std::vector<std::string>>> every_superadmin();

 private:
  boost::asio::awaitable<bool> refresh();

  slack::WebApi& api_;
  const storage::Clock& clock_;
  std::set<std::string> superadmins_;
  std::string group_;
  std::set<std::string> members_;
  std::optional<storage::TimePoint> read_at_;
};

}  // namespace keyturn::commands
