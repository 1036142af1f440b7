#include "storage/flat_object.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "rapidcheck.h"

namespace keyturn::storage {
namespace {

std::string text_of(const std::string& json, const char* name) {
  auto object = FlatObject::parse(json);
  REQUIRE(object);
  const auto text = object->take_text(name);
  REQUIRE(text);
  return std::string(text->expose());
}

TEST_CASE("strings and whole numbers of a flat object are read") {
  auto object = FlatObject::parse(" { \"a\" : \"x\" ,\n\"n\":-12, \"z\":0 } ");
  REQUIRE(object);
  CHECK(object->take_text("a")->expose() == "x");
  CHECK(object->integer("n") == -12);
  CHECK(object->integer("z") == 0);
  CHECK_FALSE(object->integer("a"));
  CHECK_FALSE(object->take_text("n"));
  CHECK_FALSE(object->take_text("missing"));
  CHECK(FlatObject::parse("{}"));
}

TEST_CASE("escapes are decoded, surrogate pairs included") {
  CHECK(text_of(R"({"a":"\"\\\/\b\f\n\r\t"})", "a") == "\"\\/\b\f\n\r\t");
  CHECK(text_of(R"({"a":"\u0041\u00e9\u20ac\ud83d\ude00"})", "a") == "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
  CHECK(text_of(R"({"\u0061":"ok"})", "a") == "ok");
}

TEST_CASE("whatever is not strictly one flat object is refused") {
  for (const char* wrong : {"",
                            " ",
                            "null",
                            "[]",
                            "{",
                            "}",
                            "{\"a\"}",
                            "{\"a\":}",
                            "{\"a\":\"x\",}",
                            "{\"a\":\"x\"}}",
                            "{a:\"x\"}",
                            "{'a':'x'}",
                            "{\"a\":\"x\" \"b\":\"y\"}",
                            "{\"a\":{}}",
                            "{\"a\":[]}",
                            "{\"a\":true}",
                            "{\"a\":null}",
                            "{\"a\":1.5}",
                            "{\"a\":1e3}",
                            "{\"a\":01}",
                            "{\"a\":-}",
                            "{\"a\":+1}",
                            "{\"a\":99999999999999999999}",
                            "{\"a\":\"x}",
                            "{\"a\":\"\\x\"}",
                            "{\"a\":\"\\u12\"}",
                            "{\"a\":\"\\u12g4\"}",
                            "{\"a\":\"\\ud800\"}",
                            "{\"a\":\"\\udc00\"}",
                            "{\"a\":\"\\ud800\\u0041\"}",
                            "{\"a\":\"line\nbreak\"}",
                            "{\"a\":\"x\",\"a\":\"y\"}",
                            "{\"a\":1,\"a\":2}",
                            "{\"a\":\"x\"} trailing"}) {
    CAPTURE(wrong);
    CHECK_FALSE(FlatObject::parse(wrong));
  }
  std::string many = "{\"m\":1";
  for (int i = 0; i < 20; ++i) many += ",\"m" + std::to_string(i) + "\":1";
  CHECK_FALSE(FlatObject::parse(many + "}"));
}

TEST_CASE("any string that a JSON library writes is read back as it was") {
  CHECK(rc::check([](const std::string& bytes, bool ascii) {
    std::string text;
    for (char c : bytes) text += c > 0 ? std::string(1, c) : "\xE2\x82\xAC";
    const std::string json = nlohmann::json{{"k", text}}.dump(-1, ' ', ascii);
    auto object = FlatObject::parse(json);
    RC_ASSERT(object.has_value());
    RC_ASSERT(object->take_text("k")->expose() == text);
  }));
}

TEST_CASE("no bytes at all break the reader") {
  CHECK(rc::check([](const std::string& bytes) {
    FlatObject::parse(bytes);
    FlatObject::parse("{\"a\":\"" + bytes);
    FlatObject::parse("{\"a\":" + bytes + "}");
  }));
}

}  // namespace
}  // namespace keyturn::storage
