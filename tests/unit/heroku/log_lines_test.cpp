// From the bytes of a log stream to lines that hold no key.
#include "integrations/heroku/log_lines.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "integrations/heroku/heroku.h"

using keyturn::heroku::LogLines;
using keyturn::heroku::read_log_line;

namespace {

std::vector<std::string> all(LogLines& lines) {
  std::vector<std::string> taken;
  while (auto line = lines.next()) taken.push_back(*line);
  return taken;
}

std::vector<std::string> lines_of(LogLines::Format format, const std::string& bytes, std::size_t step) {
  LogLines lines(format);
  for (std::size_t at = 0; at < bytes.size(); at += step)
    lines.feed(std::string_view(bytes).substr(at, step));
  lines.end();
  return all(lines);
}

}  // namespace

TEST_CASE("plain lines are split wherever the pieces are cut") {
  for (const std::size_t step : {1UL, 2UL, 3UL, 100UL}) {
    CHECK(lines_of(LogLines::Format::plain, "one\r\ntwo\n\nthree", step) ==
          std::vector<std::string>{"one", "two", "three"});
  }
}

TEST_CASE("a line is not given before it is whole") {
  LogLines lines(LogLines::Format::plain);
  lines.feed("half a ");
  CHECK_FALSE(lines.next());
  lines.feed("line\n");
  CHECK(lines.next() == "half a line");
}

TEST_CASE("server-sent events carry one line each, and comments carry none") {
  const std::string stream =
      ": hello\n\nid: 7\ndata: first line\n\nevent: x\r\ndata:second\r\n\r\n:\n\ndata: third";
  for (const std::size_t step : {1UL, 2UL, 5UL, 100UL}) {
    CHECK(lines_of(LogLines::Format::events, stream, step) ==
          std::vector<std::string>{"first line", "second", "third"});
  }
}

TEST_CASE("a line that never ends is cut, and doesn't fill the memory") {
  LogLines lines(LogLines::Format::plain);
  for (int i = 0; i < 100; ++i) lines.feed(std::string(1024, 'x'));
  CHECK(lines.next().has_value());
}

TEST_CASE("a line of Logplex is split into time, source and text") {
  const auto line = read_log_line("2012-01-01T12:00:00.000000+00:00 app[web.1]: Release v42: done");
  CHECK(line.time == "2012-01-01T12:00:00.000000+00:00");
  CHECK(line.source == "app[web.1]");
  CHECK(line.text == "Release v42: done");
  CHECK(read_log_line("2012-01-01T12:00:00+00:00 logplex[1]: Error L11 (Tail buffer overflow)").source ==
        "logplex[1]");
}

TEST_CASE("a line of no such shape is text as a whole") {
  for (const std::string text : {"hello", "", "a b: c", "2012-01-01T12:00:00.000000+00:00 no source: here",
                                 "2012-01-01T12:00:00.000000+00:00 app[web.1]"}) {
    const auto line = read_log_line(text);
    CHECK(line.text == text);
    CHECK(line.source.empty());
    CHECK(line.time.empty());
  }
}

TEST_CASE("a key in a line is redacted, wherever it stands") {
  const std::string key = std::string("rk_") + "live_" + "51HxAbCdEf951HxAbCdEf9";
  CHECK(read_log_line("2012-01-01T12:00:00.000000+00:00 app[web.1]: using " + key + "!").text ==
        "using [redacted]!");
  CHECK(read_log_line(key).text == "[redacted]");
  CHECK(read_log_line("2012-01-01T12:00:00.000000+00:00 app[" + key + "]: x").source == "app[[redacted]]");
}

TEST_CASE("cutting the stream in other places never changes the lines") {
  CHECK(rc::check([] {
    const auto pieces = *rc::gen::container<std::vector<std::string>>(
        rc::gen::element<std::string>("data: ", "id: 1", "\n", "\r\n", "\n\n", ":", "text", " "));
    std::string stream;
    for (const std::string& piece : pieces) stream += piece;
    const auto step = static_cast<std::size_t>(*rc::gen::inRange(1, 9));
    for (const auto format : {LogLines::Format::plain, LogLines::Format::events}) {
      RC_ASSERT(lines_of(format, stream, step) == lines_of(format, stream, stream.size() + 1));
    }
  }));
}
