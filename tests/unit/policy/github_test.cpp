// The github service narrowed to repositories: which requests that admits, and which resemble them.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

constexpr std::string_view kScoped = R"(services:
  - name: github
    repos: [Owner/Repo, other/thing.git]
    git: {access: readwrite, auth: {secret: gh.push}}
    api: {access: readwrite, auth: {secret: gh.api, client_shim: {kind: env}}}
)";

struct Row {
  std::string_view method, target;
  bool allowed;
  std::string_view why;
};

void expect(const Policy& policy, std::string_view host, std::initializer_list<Row> rows) {
  for (const auto& row : rows) {
    const auto decision = policy.decide(https(host, row.method, row.target));
    EXPECT_EQ(decision.allowed(), row.allowed) << row.method << " " << row.target << ": " << row.why;
  }
}

TEST(Github, AdmitsFetchAndPushOfTheRepositoriesThatAreNamed) {
  const auto policy = compile(kScoped);
  expect(*policy, "github.com",
         {
             {"GET", "/owner/repo.git/info/refs?service=git-upload-pack", true, "git fetch asks"},
             {"GET", "/owner/repo/info/refs?service=git-upload-pack", true, "without .git"},
             {"HEAD", "/owner/repo/info/refs?service=git-upload-pack", true, "HEAD is GET"},
             {"POST", "/owner/repo.git/git-upload-pack", true, "git fetch"},
             {"POST", "/owner/repo/git-upload-pack", true, "git fetch without .git"},
             {"GET", "/owner/repo.git/info/refs?service=git-receive-pack", true, "git push asks"},
             {"POST", "/owner/repo.git/git-receive-pack", true, "git push"},
             {"POST", "/OWNER/rePO.git/git-receive-pack", true, "GitHub knows no case in owner and repository"},
             {"POST", "/%4Fwner/repo/git-receive-pack", true, "an equivalent spelling"},
             {"POST", "/other/thing/git-upload-pack", true, "written with .git in the policy"},
             {"POST", "/other/thing.git/git-upload-pack", true, "and asked with it"},
         });
}

TEST(Github, AdmitsNothingThatResemblesThem) {
  const auto policy = compile(kScoped);
  expect(*policy, "github.com",
         {
             {"GET", "/owner/repo.git/info/refs", false, "no service: the dumb protocol"},
             {"GET", "/owner/repo.git/info/refs?service=git-upload-archive", false, "another service"},
             {"GET", "/owner/repo.git/info/refs?service=git-upload-pack&service=git-receive-pack", false, "two"},
             {"GET", "/owner/repo.git/info/refs?service=git-upload-pack&x=1", false, "one parameter more"},
             {"GET", "/owner/repo.git/info/refs?service=git-upload-pack;x", false, "another value"},
             {"POST", "/owner/repo.git/info/refs?service=git-upload-pack", false, "another method"},
             {"GET", "/owner/repo.git/git-upload-pack", false, "another method"},
             {"POST", "/owner/repo.git/git-upload-pack?service=git-receive-pack", false, "a query where there is none"},
             {"POST", "/owner/repo.git/Git-Upload-Pack", false, "the rest of the path keeps its case"},
             {"POST", "/owner/repo.GIT/git-upload-pack", false, ".git too"},
             {"POST", "/owner/repo.git.git/git-upload-pack", false, "another repository"},
             {"POST", "/owner/repository/git-upload-pack", false, "another repository"},
             {"POST", "/owner/rep/git-upload-pack", false, "another repository"},
             {"POST", "/owner2/repo/git-upload-pack", false, "another owner"},
             {"POST", "/owner/thing/git-upload-pack", false, "the repository of another owner"},
             {"POST", "//owner/repo/git-upload-pack", false, "a segment more"},
             {"POST", "/owner//repo/git-upload-pack", false, "a segment more"},
             {"POST", "/x/../owner/repo/git-upload-pack", false, "a dot segment"},
             {"POST", "/owner/repo/../secret/git-upload-pack", false, "a dot segment"},
             {"POST", "/owner/repo/%2e%2e/secret/git-upload-pack", false, "an encoded dot segment"},
             {"POST", "/owner%2frepo/git-upload-pack", false, "an encoded slash"},
             {"POST", "/owner%2Frepo/git-upload-pack", false, "an encoded slash"},
             {"POST", "/owner\\repo/git-upload-pack", false, "a backslash"},
             {"POST", "/owner/repo%00/git-upload-pack", false, "a NUL"},
             {"POST", "/owner/repo;x/git-upload-pack", false, "a path parameter"},
             {"POST", "/owner/r%C3%A9po/git-upload-pack", false, "another letter"},
             {"POST", "/owner/\xe2\x84\xaarepo/git-upload-pack", false, "a Kelvin sign is no k"},
             {"GET", "/owner/repo", false, "the site itself"},
             {"GET", "/owner/repo.git/HEAD", false, "the dumb protocol"},
             {"GET", "/", false, "the site itself"},
             {"POST", "/owner/repo.git/info/lfs/objects/batch", false, "LFS is asked for with a rule of its own"},
         });
  EXPECT_EQ(reason(*policy, http("github.com", "GET", "/owner/repo.git/info/refs?service=git-upload-pack")),
            "scheme_not_permitted");
  for (const std::string_view elsewhere : {"gist.github.com", "raw.githubusercontent.com", "codeload.github.com",
                                           "www.github.com", "uploads.github.com"}) {
    EXPECT_EQ(reason(*policy, tls(elsewhere)), "host_not_allowed") << elsewhere;
  }
}

TEST(Github, ReadAccessCannotPush) {
  const auto policy = compile(R"(services:
  - {name: github, repos: [owner/repo], git: {access: read}, api: {access: read}}
)");
  expect(*policy, "github.com",
         {
             {"GET", "/owner/repo.git/info/refs?service=git-upload-pack", true, "git fetch asks"},
             {"POST", "/owner/repo/git-upload-pack", true, "git fetch"},
             {"GET", "/owner/repo.git/info/refs?service=git-receive-pack", false, "git push asks"},
             {"POST", "/owner/repo/git-receive-pack", false, "git push"},
         });
  expect(*policy, "api.github.com",
         {
             {"GET", "/repos/owner/repo", true, "the repository"},
             {"HEAD", "/repos/Owner/REPO/issues?state=open", true, "below it"},
             {"GET", "/repos/owner/repository", false, "another one"},
             {"GET", "/Repos/owner/repo", false, "the rest of the path keeps its case"},
             {"GET", "/repos/owner/repo/../other", false, "a dot segment"},
             {"GET", "/repos/owner/repo/..%2f..%2fother/x", false, "a dot segment before an encoded slash"},
             {"GET", "/repos/owner%2frepo/issues", false, "an encoded slash"},
             {"GET", "/user", false, "whose token it is"},
             {"POST", "/graphql", false, "names its repository in the body"},
             {"POST", "/repos/owner/repo/issues", false, "a write"},
         });
  EXPECT_TRUE(policy->secrets().empty());
}

TEST(Github, ApiWritesAreIssuesAndPullRequestsAlone) {
  const auto policy = compile(kScoped);
  expect(*policy, "api.github.com",
         {
             {"POST", "/repos/owner/repo/issues", true, "open an issue"},
             {"POST", "/repos/owner/repo/issues/1/comments", true, "comment"},
             {"PATCH", "/repos/owner/repo/pulls/7", true, "edit"},
             {"PATCH", "/repos/owner/repo/issues", false, "not a thing"},
             {"PUT", "/repos/owner/repo/pulls/7/merge", false, "merging"},
             {"DELETE", "/repos/owner/repo/issues/comments/1", false, "deleting"},
             {"POST", "/repos/owner/repo/hooks", false, "a way out of the sandbox"},
             {"POST", "/repos/owner/repo/keys", false, "a key"},
             {"PATCH", "/repos/owner/repo", false, "settings"},
             {"DELETE", "/repos/owner/repo", false, "all of it"},
             {"POST", "/repos/owner/repo/issuesx", false, "not below it"},
             {"POST", "/repos/owner/repo/dispatches", false, "starts workflows"},
         });
}

TEST(Github, SendsItsTokenInTheFormThatEachSideTakes) {
  const auto policy = compile(kScoped);
  const auto git = policy->decide(https("github.com", "POST", "/owner/repo.git/git-receive-pack"));
  ASSERT_EQ(git.transforms.size(), 1u);
  EXPECT_EQ(describe(git.transforms[0]), "Authorization: Basic <x-access-token:<secret gh.push>>");
  EXPECT_FALSE(git.transforms[0].replace);
  const auto api = policy->decide(https("api.github.com", "GET", "/repos/owner/repo"));
  ASSERT_EQ(api.transforms.size(), 1u);
  EXPECT_EQ(describe(api.transforms[0]), "Authorization: Bearer <secret gh.api>");
  EXPECT_TRUE(api.transforms[0].replace) << "a client with a placeholder";
  EXPECT_EQ(policy->decide(tls("github.com")).treatment, Treatment::kInspect);
}

TEST(Github, NarrowedIsNotWidenedByItsWildcardsNorByAnotherRepository) {
  const auto policy = compile({"domains: [\"*.github.com\"]", kScoped});
  EXPECT_TRUE(policy->decide(tls("gist.github.com")).allowed()) << "the other entry";
  expect(*policy, "github.com", {{"GET", "/", false, "the exact entry wins"}});
  expect(*policy, "api.github.com", {{"GET", "/user", false, "the exact entry wins"}});
}

TEST(Github, ReplaceDiscardsAnEarlierScope) {
  const auto policy = compile(
      {"services: [github]",
       "services: [{name: github, merge_mode: replace, repos: [owner/repo], git: {access: read, auth: {secret: s}}}]"});
  expect(*policy, "github.com",
         {{"GET", "/", false, "the whole site is gone"}, {"POST", "/owner/repo/git-upload-pack", true, "the scope"}});
  EXPECT_EQ(reason(*policy, tls("api.github.com")), "host_not_allowed");
}

TEST(Github, WarnsWhenSomethingElseOpensItsHostsAndSendsTheTokenAllTheSame) {
  const auto policy = compile({"services: [copilot]", kScoped});
  EXPECT_TRUE(policy->decide(https("github.com", "GET", "/elsewhere")).allowed());
  EXPECT_TRUE(policy->decide(https("github.com", "GET", "/elsewhere")).transforms.empty());
  EXPECT_EQ(policy->decide(https("github.com", "POST", "/owner/repo/git-upload-pack")).transforms.size(), 1u);
  std::string all;
  for (const auto& warning : policy->warnings()) all += warning + "\n";
  EXPECT_NE(all.find("github.com is allowed without limits"), std::string::npos) << all;
}

TEST(Github, IsToldToPeople) {
  const auto policy = compile("services: [{name: github, repos: [O/R], git: {access: read}}]");
  EXPECT_NE(
      policy->describe().find("https only, GET HEAD, path exactly /o/r.git/info/refs (owner and repository in any "
                              "case), query exactly service=git-upload-pack"),
      std::string::npos)
      << policy->describe();
}

}  // namespace
}  // namespace soleroute::policy::testing
