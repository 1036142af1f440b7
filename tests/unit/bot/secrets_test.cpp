#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "bot/config.h"

namespace keyturn::bot {
namespace {

const std::string kAppToken = std::string("xapp-") + "1-A0123-456-fake";
const std::string kBotToken = std::string("xoxb-") + "1-2-fake";
const std::string kHex = std::string(64, 'a');

// A folder with every secret in it, and an environment that names none.
class Folder {
 public:
  Folder() {
    char name[] = "/tmp/keyturn-secrets-XXXXXX";
    path_ = ::mkdtemp(name);
    put("slack-app-token", kAppToken + "\n");
    put("slack-bot-token", kBotToken);
    put("infisical-client-secret", "  client secret  \n");
    put("heroku-token", "heroku token");
    put("sealing-key", kHex);
    for (const char* variable :
         {"KEYTURN_SLACK_APP_TOKEN", "KEYTURN_SLACK_BOT_TOKEN", "KEYTURN_INFISICAL_CLIENT_SECRET",
          "KEYTURN_HEROKU_TOKEN", "KEYTURN_SEALING_KEY", "CREDENTIALS_DIRECTORY"}) {
      ::unsetenv(variable);
    }
  }
  ~Folder() {
    ::unsetenv("CREDENTIALS_DIRECTORY");
    std::filesystem::remove_all(path_);
  }
  void put(const std::string& name, const std::string& text, ::mode_t mode = 0600) {
    const auto file = path_ / name;
    std::ofstream(file) << text;
    REQUIRE(::chmod(file.c_str(), mode) == 0);
  }
  const std::filesystem::path& path() const { return path_; }
  Config config() const { return {.secrets_folder = path_}; }

 private:
  std::filesystem::path path_;
};

TEST_CASE("secrets come from files that only their owner may read, without the white space around them") {
  Folder folder;
  const auto secrets = read_secrets(folder.config());
  if (!secrets) FAIL(secrets.error().text);
  CHECK(secrets->slack_app_token->expose() == kAppToken);
  CHECK(secrets->slack_bot_token->expose() == kBotToken);
  CHECK(secrets->infisical_client_secret->expose() == "client secret");
  CHECK(secrets->heroku_token->expose() == "heroku token");
  CHECK(secrets->sealing_key != nullptr);
}

TEST_CASE("a file that others can read is refused with the command that mends it") {
  Folder folder;
  folder.put("heroku-token", "heroku token", 0640);
  const auto secrets = read_secrets(folder.config());
  REQUIRE_FALSE(secrets);
  CHECK(secrets.error().text.find("(mode 640); run: chmod 600 " +
                                  (folder.path() / "heroku-token").string()) != std::string::npos);
}

TEST_CASE("the environment comes first, and is emptied once read") {
  Folder folder;
  ::setenv("KEYTURN_HEROKU_TOKEN", "from the environment", 1);
  const char* bytes = std::getenv("KEYTURN_HEROKU_TOKEN");
  const auto secrets = read_secrets(folder.config());
  REQUIRE(secrets);
  CHECK(secrets->heroku_token->expose() == "from the environment");
  CHECK(std::getenv("KEYTURN_HEROKU_TOKEN") == nullptr);
  CHECK(std::string(bytes).empty());  // glibc keeps the memory of setenv's copy
}

TEST_CASE("systemd's credentials come before the folder, whatever their group bits show") {
  Folder credentials;
  Folder folder;
  credentials.put("heroku-token", "from systemd", 0440);
  ::setenv("CREDENTIALS_DIRECTORY", credentials.path().c_str(), 1);
  const auto secrets = read_secrets(folder.config());
  REQUIRE(secrets);
  CHECK(secrets->heroku_token->expose() == "from systemd");
}

TEST_CASE("a missing secret is answered with the three places where it may be") {
  Folder folder;
  std::filesystem::remove(folder.path() / "slack-app-token");
  std::filesystem::remove(folder.path() / "sealing-key");
  const auto secrets = read_secrets(folder.config());
  REQUIRE_FALSE(secrets);
  const std::string& text = secrets.error().text;
  CAPTURE(text);
  CHECK(text.find("slack-app-token is missing") != std::string::npos);
  CHECK(text.find("the environment as KEYTURN_SLACK_APP_TOKEN") != std::string::npos);
  CHECK(text.find("the systemd credential slack-app-token ($CREDENTIALS_DIRECTORY is not set)") !=
        std::string::npos);
  CHECK(text.find("the file " + (folder.path() / "slack-app-token").string() + " (mode 600)") !=
        std::string::npos);
  CHECK(text.find("sealing-key is missing") != std::string::npos);
}

TEST_CASE("swapped, empty and malformed secrets are refused without being shown") {
  Folder folder;
  folder.put("slack-app-token", kBotToken);
  folder.put("slack-bot-token", " \n");
  folder.put("sealing-key", "correct horse battery staple");
  const auto secrets = read_secrets(folder.config());
  REQUIRE_FALSE(secrets);
  const std::string& text = secrets.error().text;
  CAPTURE(text);
  CHECK(text.find("is not Slack's app-level token: that begins with \"xapp-\"") != std::string::npos);
  CHECK(text.find("slack-bot-token is empty") != std::string::npos);
  CHECK(text.find("openssl rand -hex 32") != std::string::npos);
  CHECK(text.find(kBotToken) == std::string::npos);
  CHECK(text.find("horse") == std::string::npos);
}

}  // namespace
}  // namespace keyturn::bot
