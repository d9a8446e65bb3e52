#pragma once

// Reads Prometheus's text format, and refuses what breaks a rule of it: more strictly than a
// scraper, which passes over much.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace prometheus {

using Labels = std::map<std::string, std::string>;

struct Family {
  std::string type, help;
  std::map<std::pair<std::string, Labels>, double> samples;  // by the sample's name and labels
};

class Reader {
 public:
  /// Empty when the text is as it must be, else the first thing that is wrong.
  std::string read(std::string_view text) {
    if (!text.empty() && text.back() != '\n') return "the last line has no end";
    while (!text.empty() && wrong_.empty()) {
      const auto end = text.find('\n');
      line(std::string(text.substr(0, end)));
      text.remove_prefix(end + 1);
    }
    for (const auto& [name, family] : families_) check(name, family);
    return wrong_;
  }
  [[nodiscard]] const std::map<std::string, Family>& families() const { return families_; }
  /// The value of a sample; not a number when there is none.
  [[nodiscard]] double value(const std::string& name, const Labels& labels = {}) const {
    for (const auto& [family, found] : families_) {
      const auto it = found.samples.find({name, labels});
      if (it != found.samples.end()) return it->second;
    }
    return std::nan("");
  }

 private:
  void refuse(const std::string& what, const std::string& where) {
    if (wrong_.empty()) wrong_ = what + ": " + where;
  }
  static bool is_name(std::string_view name, bool colon) {
    if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
    return std::all_of(name.begin(), name.end(), [&](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '_' || (colon && c == ':');
    });
  }
  static bool number(std::string_view text, double& out) {
    if (text == "+Inf" || text == "-Inf" || text == "NaN") {
      out = text == "NaN" ? std::nan("") : text[0] == '-' ? -INFINITY : INFINITY;
      return true;
    }
    const char* end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, out);
    return read.ec == std::errc() && read.ptr == end && std::isfinite(out);
  }

  void line(const std::string& text) {
    if (text.empty()) return refuse("an empty line", text);
    if (text[0] == '#') return comment(text);
    std::size_t at = text.find_first_of("{ ");
    if (at == std::string::npos) return refuse("no value", text);
    const std::string name = text.substr(0, at);
    if (!is_name(name, true)) return refuse("no name of a metric", text);
    Labels labels;
    if (text[at] == '{' && !read_labels(text, ++at, labels)) return refuse("bad labels", text);
    if (at >= text.size() || text[at] != ' ') return refuse("no blank before the value", text);
    double value = 0;
    if (!number(std::string_view(text).substr(at + 1), value)) return refuse("no number", text);
    if (current_.empty() || !belongs(name)) return refuse("a sample outside its family", text);
    if (!families_[current_].samples.emplace(std::pair(name, labels), value).second) {
      refuse("a sample that is there twice", text);
    }
  }

  void comment(const std::string& text) {
    const bool help = text.rfind("# HELP ", 0) == 0;
    if (!help && text.rfind("# TYPE ", 0) != 0) return refuse("a comment of another kind", text);
    const auto end = text.find(' ', 7);
    if (end == std::string::npos) return refuse("half a comment", text);
    const std::string name = text.substr(7, end - 7);
    const std::string rest = text.substr(end + 1);
    if (!is_name(name, true)) return refuse("no name of a metric", text);
    if (help) {
      if (families_.contains(name)) return refuse("a family that is there twice", text);
      if (rest.empty()) return refuse("help that says nothing", text);
      families_[name].help = rest;
      current_ = name;
      return;
    }
    if (name != current_ || !families_[name].type.empty() || !families_[name].samples.empty()) {
      return refuse("a type that does not follow its help", text);
    }
    if (rest != "counter" && rest != "gauge" && rest != "histogram") {
      return refuse("an unknown type", text);
    }
    families_[name].type = rest;
  }

  static bool read_labels(const std::string& text, std::size_t& at, Labels& labels) {
    while (true) {
      const auto equals = text.find('=', at);
      if (equals == std::string::npos) return false;
      const std::string name = text.substr(at, equals - at);
      if (!is_name(name, false) || equals + 1 >= text.size() || text[equals + 1] != '"')
        return false;
      std::string value;
      for (at = equals + 2; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '\\') {
          if (++at >= text.size()) return false;
          if (text[at] != '\\' && text[at] != '"' && text[at] != 'n') return false;
          value += text[at] == 'n' ? '\n' : text[at];
        } else {
          value += text[at];
        }
      }
      if (at + 1 >= text.size() || !labels.emplace(name, value).second) return false;
      ++at;
      if (text[at] == '}') return ++at < text.size();
      if (text[at++] != ',') return false;
    }
  }

  bool belongs(const std::string& name) {
    const Family& family = families_[current_];
    if (family.type != "histogram") return name == current_;
    return name == current_ + "_bucket" || name == current_ + "_sum" || name == current_ + "_count";
  }

  void check(const std::string& name, const Family& family) {
    if (family.type.empty()) return refuse("no type", name);
    const bool total = name.size() > 6 && name.substr(name.size() - 6) == "_total";
    if ((family.type == "counter") != total) {
      return refuse("_total is the end of a counter's name, and of no other", name);
    }
    for (const auto& [sample, value] : family.samples) {
      if (family.type != "gauge" && !(value >= 0)) refuse("a count below zero", name);
    }
    if (family.type == "histogram") check_histogram(name, family);
  }

  void check_histogram(const std::string& name, const Family& family) {
    std::map<Labels, std::vector<std::pair<double, double>>> buckets;
    for (const auto& [sample, value] : family.samples) {
      if (sample.first != name + "_bucket") continue;
      Labels labels = sample.second;
      double bound = 0;
      if (!labels.contains("le") || !number(labels["le"], bound)) {
        return refuse("a bucket without a bound", name);
      }
      labels.erase("le");
      buckets[labels].emplace_back(bound, value);
    }
    for (auto& [labels, of] : buckets) {
      std::sort(of.begin(), of.end());
      for (std::size_t i = 1; i < of.size(); ++i) {
        if (of[i].second < of[i - 1].second) refuse("buckets that do not add up", name);
      }
      const auto count = family.samples.find({name + "_count", labels});
      if (!std::isinf(of.back().first) || count == family.samples.end() ||
          count->second != of.back().second) {
        refuse("a count that is not that of the last bucket", name);
      }
      if (!family.samples.contains({name + "_sum", labels})) refuse("no sum", name);
    }
    if (family.samples.size() != 0 && buckets.empty()) refuse("no buckets", name);
  }

  std::map<std::string, Family> families_;
  std::string current_, wrong_;
};

}  // namespace prometheus
