// `bureau completion` and `bureau manual`: made of the commands themselves, so that neither can be
// out of date.

#include <fmt/format.h>

#include "commands.hpp"

namespace cli {

using namespace bureau;

namespace {

std::vector<CLI::App*> commands_of(const CLI::App& app) {
  std::vector<CLI::App*> commands;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    commands.push_back(const_cast<CLI::App*>(command));  // NOLINT: CLI11's filter takes const
  }
  return commands;
}
std::vector<const CLI::Option*> options_of(const CLI::App& app) {
  return app.get_options([](const CLI::Option*) { return true; });
}

// Completion -----------------------------------------------------------------------------------

/// What may follow the words of `path`, for every path of commands: "PATH|WORDS".
void collect_words(const CLI::App& app, const std::string& path,
                   std::vector<std::pair<std::string, std::string>>& out) {
  std::string words;
  for (const CLI::App* command : commands_of(app)) words += command->get_name() + " ";
  for (const CLI::Option* option : options_of(app)) {
    for (const std::string& name : option->get_lnames()) words += "--" + name + " ";
  }
  while (words.ends_with(' ')) words.pop_back();
  out.emplace_back(path, words);
  for (const CLI::App* command : commands_of(app)) {
    collect_words(*command, path.empty() ? command->get_name() : path + " " + command->get_name(),
                  out);
  }
}

void print_bash(const CLI::App& app) {
  const std::string name = app.get_name();
  std::vector<std::pair<std::string, std::string>> words;
  collect_words(app, "", words);
  fmt::print("# {0} completion for bash: eval \"$({0} completion bash)\"\n", name);
  fmt::print("_{}() {{\n", name);
  fmt::print(
      "  local word path= words i\n"
      "  COMPREPLY=()\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    word=${{COMP_WORDS[i]}}\n"
      "    case \"${{path:+$path }}$word\" in\n");
  std::string paths;
  for (const auto& [path, list] : words) {
    if (!path.empty()) paths += (paths.empty() ? "'" : " | '") + path + "'";
  }
  fmt::print("      {}) path=\"${{path:+$path }}$word\" ;;\n", paths);
  fmt::print(
      "    esac\n"
      "  done\n"
      "  case \"$path\" in\n");
  for (const auto& [path, list] : words) fmt::print("    '{}') words='{}' ;;\n", path, list);
  const std::string globals = words.front().second.substr(words.front().second.find("--"));
  fmt::print(
      "  esac\n"
      "  case \"${{COMP_WORDS[COMP_CWORD - 1]}}\" in\n"
      "    --office) mapfile -t COMPREPLY < <(compgen -f -- \"${{COMP_WORDS[COMP_CWORD]}}\") ;;\n"
      "    --format) words='table json csv jsonl' ;;&\n"
      "    *) mapfile -t COMPREPLY < <(compgen -W \"$words {1}\" -- "
      "\"${{COMP_WORDS[COMP_CWORD]}}\") ;;\n"
      "  esac\n"
      "}}\n"
      "complete -o default -F _{0} {0}\n",
      name, globals);
}

// Manual ---------------------------------------------------------------------------------------

/// Text as roff takes it: backslashes, leading dots and hyphens mean something there.
std::string roff(std::string_view text) {
  std::string out;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) out += "\\&";
    line_begins = c == '\n';
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out;
}

void print_options(const CLI::App& app) {
  for (const CLI::Option* option : options_of(app)) {
    if (option == app.get_help_ptr() && app.get_parent() != nullptr) continue;
    std::string name = option->get_name(option->get_positional(), true);
    if (option->get_items_expected_max() > 0 && !option->get_positional()) {
      name += " " + option->get_type_name();
    }
    fmt::print(".TP\n.B {}\n{}\n", roff(name), roff(option->get_description()));
    const std::string usual = option->get_default_str();
    if (!usual.empty()) fmt::print("(usually {})\n", roff(usual));
  }
}

void print_command(const CLI::App& app, const std::string& path) {
  fmt::print(".SS \"{}\"\n{}.\n", roff(path), roff(app.get_description()));
  print_options(app);
  for (const CLI::App* command : commands_of(app)) {
    print_command(*command, path + " " + command->get_name());
  }
}

void print_manual(const CLI::App& app) {
  const std::string name = app.get_name();
  std::string title = name;
  for (char& c : title) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  fmt::print(".TH {} 1 \"\" \"bureau {}.{}.{}\" \"User commands\"\n", roff(title),
             BUREAU_VERSION_MAJOR, BUREAU_VERSION_MINOR, BUREAU_VERSION_PATCH);
  fmt::print(".SH NAME\n{} \\- the back office in a library, from the command line\n", roff(name));
  fmt::print(".SH SYNOPSIS\n.B {}\n[\\fIOPTIONS\\fR] \\fICOMMAND\\fR ...\n", roff(name));
  fmt::print(
      ".SH DESCRIPTION\nWorks on an office: one SQLite file with tickets, deals, people, agents "
      "and "
      "their tasks.\nIt may run beside a program that has the same file open.\n");
  fmt::print(".SH OPTIONS\n");
  print_options(app);
  fmt::print(".SH COMMANDS\n");
  for (const CLI::App* command : commands_of(app)) print_command(*command, command->get_name());
  fmt::print(
      ".SH ENVIRONMENT\n.TP\n.B BUREAU_OFFICE\nThe office's file, where "
      "\\-\\-office does not name it.\n"
      ".SH EXIT STATUS\n0 done; 1 the office said no, and why is on stderr; 2 the command line is "
      "wrong.\n");
}

}  // namespace

void add_help_commands(CLI::App& app,
                       std::function<void(std::function<bureau::Result<void>()>)> act) {
  auto* completion =
      app.add_subcommand("completion", "print what makes a shell complete commands and options");
  completion->require_subcommand(1);
  completion->add_subcommand("bash", "for bash: eval \"$(bureau completion bash)\"")
      ->callback([&app, act] {
        act([&app]() -> Result<void> {
          print_bash(app);
          return {};
        });
      });
  app.add_subcommand("manual", "print the manual page, for man")->callback([&app, act] {
    act([&app]() -> Result<void> {
      print_manual(app);
      return {};
    });
  });
}

}  // namespace cli
