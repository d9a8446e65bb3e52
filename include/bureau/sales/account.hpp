#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bureau/access/identity.hpp"
#include "bureau/core/money.hpp"

BUREAU_BEGIN_NAMESPACE

/// A company that buys, or may.
struct Account {
  Id<Account> id;
  Id<Tenant> tenant;
  std::string name;
  std::optional<std::string> sector, country;
  std::optional<std::int64_t> founded_year, employees;
  std::optional<Id<Account>> parent;  ///< the company that owns it
  std::optional<Id<User>> owner;
  std::optional<std::string> external_id;  ///< where it came from; unique per tenant
  Json custom;                             ///< the office's own fields
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

/// A person at an account.
struct Contact {
  Id<Contact> id;
  Id<Tenant> tenant;
  std::optional<Id<Account>> account;
  std::string name;
  std::optional<std::string> email, phone;
  std::optional<std::string> position;  ///< what he is there
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

/// What is sold.
struct Product {
  Id<Product> id;
  Id<Tenant> tenant;
  std::string name;
  std::optional<std::string> series;
  std::int64_t price_minor = 0;  ///< the list price, in minor units of `currency`
  std::string currency;          ///< ISO 4217
  bool active = true;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

template <>
inline constexpr auto schema<Account> = table(
    "accounts", "acc", journal::full, column("id", &Account::id),
    column("tenant", &Account::tenant), column("name", &Account::name, max_length(200), searchable),
    column("sector", &Account::sector, max_length(100)),
    column("country", &Account::country, max_length(100)),
    column("founded_year", &Account::founded_year), column("employees", &Account::employees),
    column("parent", &Account::parent), column("owner", &Account::owner),
    column("external_id", &Account::external_id, max_length(200)),
    column("custom", &Account::custom), column("version", &Account::version),
    column("created_at", &Account::created_at), column("updated_at", &Account::updated_at),
    index("name", "tenant", "name"), index("tenant", "tenant"),
    unique_index("external_id", "tenant", "external_id").where("external_id is not null"));
template <>
inline constexpr auto schema<Contact> =
    table("contacts", "con", journal::full, column("id", &Contact::id),
          column("tenant", &Contact::tenant), column("account", &Contact::account),
          column("name", &Contact::name, max_length(200), personal, searchable),
          column("email", &Contact::email, max_length(320), personal, folded),
          column("phone", &Contact::phone, max_length(40), personal),
          column("position", &Contact::position, max_length(100)),
          column("version", &Contact::version), column("created_at", &Contact::created_at),
          column("updated_at", &Contact::updated_at), index("account", "account"),
          index("email", "tenant", "email_folded"), index("tenant", "tenant"));
template <>
inline constexpr auto schema<Product> = table(
    "products", "prd", journal::full, column("id", &Product::id),
    column("tenant", &Product::tenant), column("name", &Product::name, max_length(200), searchable),
    column("series", &Product::series, max_length(100)),
    column("price_minor", &Product::price_minor),
    column("currency", &Product::currency, max_length(3)), column("active", &Product::active),
    column("version", &Product::version), column("created_at", &Product::created_at),
    column("updated_at", &Product::updated_at), unique_index("name", "tenant", "name"));

BUREAU_END_NAMESPACE

BUREAU_DECLARE_ENTITY(bureau::Account);
BUREAU_DECLARE_ENTITY(bureau::Contact);
BUREAU_DECLARE_ENTITY(bureau::Product);
