package cli

import (
	"cmp"
	"context"
	"os"
	"os/exec"
	"strings"

	"github.com/tasuki-dev/tasuki"
)

// commit returns the commit that is being released: what the CI system says, else
// the HEAD of the repository that the command runs in, else "".
func commit(ctx context.Context) string {
	// GitHub Actions, AWS CodeBuild, GitLab CI.
	if sha := cmp.Or(os.Getenv("GITHUB_SHA"), os.Getenv("CODEBUILD_RESOLVED_SOURCE_VERSION"), os.Getenv("CI_COMMIT_SHA")); sha != "" {
		return sha
	}
	out, err := exec.CommandContext(ctx, "git", "rev-parse", "--verify", "--quiet", "HEAD").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// tagLength is how much of a commit's hash makes a tag: 12 digits, which git itself
// takes for unique in repositories of a million commits.
const tagLength = 12

// tagOrCommit returns the tag that a flag gives, else the commit's.
func tagOrCommit(flag, commit string) (tasuki.Tag, error) {
	if flag == "" {
		if commit == "" {
			return tasuki.Tag{}, usage("which tag? give --tag, or run this in a git repository or a CI job that says its commit")
		}
		tag, err := tasuki.ParseTag(commit[:min(tagLength, len(commit))])
		if err != nil {
			return tag, usage("the commit, as CI or git says it, is %q, of which no tag can be made: give --tag", commit)
		}
		return tag, nil
	}
	tag, err := tasuki.ParseTag(flag)
	if err != nil {
		return tag, &usageError{err}
	}
	return tag, nil
}

// provenance returns what the CI system says of the run.
func provenance(commit string) tasuki.Provenance {
	from := tasuki.Provenance{
		Commit: commit,
		Actor:  cmp.Or(os.Getenv("GITHUB_ACTOR"), os.Getenv("GITLAB_USER_LOGIN"), os.Getenv("CODEBUILD_INITIATOR"), os.Getenv("USER")),
		Run:    cmp.Or(os.Getenv("CI_JOB_URL"), os.Getenv("CODEBUILD_BUILD_URL")),
	}
	if server, repository, run := os.Getenv("GITHUB_SERVER_URL"), os.Getenv("GITHUB_REPOSITORY"), os.Getenv("GITHUB_RUN_ID"); server != "" && repository != "" && run != "" {
		from.Run = server + "/" + repository + "/actions/runs/" + run
	}
	return from
}
