using System.Diagnostics;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Deployment;

/// <summary>.github/workflows: what stands between a commit and production, and that nothing goes round it.</summary>
public sealed partial class WorkflowTests
{
    private static readonly JsonNode Ci = Load("ci.yml");
    private static readonly JsonNode Deploy = Load("deploy-aks.yml");
    private static readonly JsonNode BaseImages = Load("base-images.yml");

    public static TheoryData<string, string> Jobs
    {
        get
        {
            var jobs = new TheoryData<string, string>();
            foreach (var file in (string[])["ci.yml", "deploy-aks.yml", "base-images.yml"])
            {
                foreach (var name in Of(file).At("jobs")!.AsObject().Select(job => job.Key))
                {
                    jobs.Add(file, name);
                }
            }

            return jobs;
        }
    }

    [Fact]
    public void Deploy_runs_for_version_tags_and_by_hand_only()
    {
        Assert.Equal(["push", "workflow_dispatch"], Deploy.At("on")!.AsObject().Select(trigger => trigger.Key));
        Assert.Equal(["v*"], Deploy.List("on/push/tags").Select(tag => tag.ToString()));
        Assert.Null(Deploy.At("on/push/branches"));
    }

    [Fact]
    public void Tests_come_before_the_image_the_image_before_staging_and_staging_before_production()
    {
        Assert.Equal("./.github/workflows/ci.yml", Deploy.Text("jobs/test/uses"));
        Assert.Equal(["test"], Needs("build"));
        Assert.Equal(["test", "build"], Needs("staging"));
        Assert.Equal(["test", "build", "staging"], Needs("production"));
        // 'always()' or 'failure()' would run a job although one that it needs has failed.
        Assert.Equal(["production"], Deploy.At("jobs")!.AsObject().Where(job => job.Value.At("if") is not null).Select(job => job.Key));
        Assert.Equal("github.ref_type == 'tag' || inputs.production", Deploy.Text("jobs/production/if"));
    }

    [Fact]
    public void Production_waits_for_the_approval_of_its_environment()
    {
        Assert.Equal("production", Deploy.Text("jobs/production/environment"));
        Assert.Equal("staging", Deploy.Text("jobs/staging/environment"));
        Assert.All(
            (string[])["staging", "production"],
            job => Assert.Equal(
                ("deploy-" + job, "false"),
                (Deploy.Text($"jobs/{job}/concurrency/group"), Deploy.Text($"jobs/{job}/concurrency/cancel-in-progress"))));
    }

    [Fact]
    public void Image_is_built_once_and_deployed_by_its_digest()
    {
        Assert.Equal("${{ steps.push.outputs.image }}", Deploy.Text("jobs/build/outputs/image"));
        Assert.Contains("sha256:", Steps(Deploy, "build").Single(step => step.Text("id") == "push").Text("run"), StringComparison.Ordinal);
        Assert.Equal(1, Runs(Deploy).Sum(run => DockerBuild().Count(run)));
        foreach (var job in (string[])["staging", "production"])
        {
            Assert.Equal("${{ needs.build.outputs.image }}", Deploy.Text($"jobs/{job}/env/IMAGE"));
            Assert.Equal("infra/deploy/deploy.sh --environment \"$GITHUB_JOB\" --image \"$IMAGE\" --yes", Steps(Deploy, job)[^1].Text("run"));
        }
    }

    [Theory]
    [MemberData(nameof(Jobs))]
    public void Job_has_the_least_rights_and_an_end(string file, string name)
    {
        var workflow = Of(file);
        Assert.Empty(workflow.Map("permissions")); // none, unless a job names them
        var rights = workflow.Map($"jobs/{name}/permissions");
        Assert.NotNull(workflow.At($"jobs/{name}/permissions"));
        Assert.All(
            rights,
            right => Assert.True(
                right is { Key: "contents", Value: "read" } or { Key: "id-token", Value: "write" }
                    || (right is { Key: "issues", Value: "write" } && file == "base-images.yml"),
                $"{right}"));
        var signsIn = Steps(workflow, name).Any(step => step.Text("uses")?.StartsWith("azure/login@", StringComparison.Ordinal) == true);
        Assert.Equal(signsIn, rights.ContainsKey("id-token"));
        Assert.Equal(signsIn, workflow.At($"jobs/{name}/environment") is not null); // a federated credential belongs to an environment
        Assert.True(
            workflow.At($"jobs/{name}/uses") is not null || workflow.At($"jobs/{name}/timeout-minutes") is not null,
            "The job has no timeout-minutes.");
    }

    [Theory]
    [InlineData("ci.yml")]
    [InlineData("deploy-aks.yml")]
    [InlineData("base-images.yml")]
    public async Task Actions_are_pinned_by_commit_with_their_version_beside(string file)
    {
        var lines = (await File.ReadAllLinesAsync(PathOf(file))).Where(line => UsesLine().IsMatch(line) && !line.Contains(": ./", StringComparison.Ordinal))
            .ToList();
        Assert.NotEmpty(lines);
        Assert.All(lines, line => Assert.Matches(@"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line));
        // Beside what is checked out no token is left for later steps.
        Assert.All(
            StepsOf(file).Where(step => step.Text("uses")?.StartsWith("actions/checkout@", StringComparison.Ordinal) == true),
            step => Assert.Equal("false", step.Text("with/persist-credentials")));
    }

    /// <summary>"No secret of Azure is stored", and no expression of a stranger's text inside a script.</summary>
    [Theory]
    [InlineData("ci.yml")]
    [InlineData("deploy-aks.yml")]
    [InlineData("base-images.yml")]
    public void Scripts_hold_no_expression_and_logins_no_password(string file)
    {
        Assert.All(StepsOf(file).Select(step => step.Text("run")).OfType<string>(), run => Assert.DoesNotContain("${{", run, StringComparison.Ordinal));
        foreach (var login in StepsOf(file).Where(step => step.Text("uses")?.StartsWith("azure/login@", StringComparison.Ordinal) == true))
        {
            Assert.Equal(["client-id", "tenant-id", "subscription-id"], login.Map("with").Keys);
            Assert.All(login.Map("with").Values, value => Assert.StartsWith("${{ vars.", value, StringComparison.Ordinal));
        }
    }

    /// <summary>The workflow, the script that checks them, and the manifests that mount them name the same ten secrets.</summary>
    [Theory]
    [InlineData("staging")]
    [InlineData("production")]
    public async Task Secrets_of_the_environment_are_those_that_the_script_checks_and_the_manifests_mount(string job)
    {
        var step = Steps(Deploy, job).Single(step => step.Text("run")?.StartsWith("infra/deploy/secrets.sh ", StringComparison.Ordinal) == true);
        Assert.Equal("env.SECRETS_SOURCE == 'kubernetes'", step.Text("if"));
        var given = step.Map("env");
        Assert.All(given, secret => Assert.Equal($"${{{{ secrets.{secret.Key} }}}}", secret.Value));
        Assert.Contains("CLERK_WEBHOOK_SECRET", given.Keys);

        var library = await File.ReadAllTextAsync(Path.Combine(TestServices.RepositoryRoot, "infra", "deploy", "lib.sh"));
        string[] Keys(string list) => Regex.Match(
            library, $@"^{list}=\((?<keys>[^)]+)\)$", RegexOptions.Multiline | RegexOptions.ExplicitCapture,
            TimeSpan.FromSeconds(1)).Groups["keys"].Value.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(
            given.Keys.Order(StringComparer.Ordinal),
            Keys("secret_keys").Concat(Keys("setup_keys")).Concat(Keys("optional_keys")).Select(key => key.ToUpperInvariant().Replace('-', '_'))
                .Order(StringComparer.Ordinal));

        var setup = (await KustomizeRender.LoadAsync(job, plainSecrets: true)).Pod("http").List("volumes")
            .Single(volume => volume.Text("name") == "setup-secrets");
        var mounted = setup.List("projected/sources")
            .SelectMany(source => source.List("secret/items").Select(item => (source.Text("secret/name"), item.Text("key")))).ToHashSet();
        Assert.Equal(
            Keys("secret_keys").Where(key => key != "database-url").Select(key => ("gpt-secrets", key))
                .Concat(Keys("setup_keys").Select(key => ("gpt-setup", key))).Order(),
            mounted.Select(item => (item.Item1!, item.Item2!)).Order());
    }

    [Fact]
    public void Ci_tests_on_both_servers_renders_the_manifests_and_builds_the_image_without_pushing()
    {
        Assert.Equal(["postgres", "rabbitmq"], Ci.At("jobs/test/services")!.AsObject().Select(service => service.Key));
        Assert.All(Ci.At("jobs/test/services")!.AsObject(), service => Assert.Matches(@":\d+\.\d+(\.\d+)?$", service.Value.Text("image")));
        Assert.Equal(["TEST_DATABASE_URL", "TEST_RABBITMQ_URL"], Ci.Map("jobs/test/env").Keys);
        var runs = Runs(Ci);
        Assert.Contains(runs, run => run.Contains("-p:FunctionsWorker=package", StringComparison.Ordinal));
        Assert.Contains(runs, run => run == "bash .ci/run");
        Assert.Contains(runs, run => run == "make k8s-render");
        Assert.Contains(runs, run => DockerBuild().IsMatch(run));
        Assert.DoesNotContain(runs, run => run.Contains("docker push", StringComparison.Ordinal));
    }

    /// <summary>A required check that is skipped by a path filter of the whole workflow would wait for ever.</summary>
    [Fact]
    public void Ci_always_reports_and_fails_with_any_of_its_jobs()
    {
        Assert.Null(Ci.At("on/pull_request"));
        Assert.True(Ci.At("on")!.AsObject().ContainsKey("pull_request"));
        Assert.Equal("always()", Ci.Text("jobs/ci/if"));
        Assert.Equal(Ci.At("jobs")!.AsObject().Select(job => job.Key).Where(job => job != "ci"), Ci.List("jobs/ci/needs").Select(job => job.ToString()));
    }

    [Theory]
    [InlineData("success success success success", "true", 0)]
    [InlineData("success skipped skipped skipped", "false", 0)]
    [InlineData("success skipped success success", "true", 1)] // skipped although it was needed
    [InlineData("success failure success success", "true", 1)]
    [InlineData("success success cancelled success", "true", 1)]
    [InlineData("failure skipped skipped skipped", "", 1)]
    public async Task Ci_succeeds_when_every_job_has_or_was_not_needed(string results, string code, int expected)
    {
        var start = new ProcessStartInfo(
            "bash", ["-e", "-o", "pipefail", "-c", Steps(Ci, "ci").Single().Text("run")!])
        {
            RedirectStandardOutput = true,
            UseShellExecute = false,
        };
        (start.Environment["RESULTS"], start.Environment["CODE"]) = (results, code);
        using var script = Process.Start(start)!;
        await script.WaitForExitAsync();
        Assert.Equal(expected, script.ExitCode);
    }

    /// <summary>As GitHub runs them (bash -e -o pipefail). Without shellcheck, bash still reads them.</summary>
    [Theory]
    [MemberData(nameof(Jobs))]
    public async Task Scripts_of_the_workflows_are_clean(string file, string job)
    {
        foreach (var run in Steps(Of(file), job).Select(step => step.Text("run")).OfType<string>())
        {
            var script = Path.GetTempFileName();
            await File.WriteAllTextAsync(script, $"#!/bin/bash\nset -e -o pipefail\n{run}\n");
            string[] command = File.Exists("/usr/bin/shellcheck") ? ["shellcheck", "--norc", script] : ["bash", "-n", script];
            using var check = Process.Start(
                new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false })!;
            var said = await check.StandardOutput.ReadToEndAsync() + await check.StandardError.ReadToEndAsync();
            await check.WaitForExitAsync();
            Assert.True(check.ExitCode == 0, said);
            File.Delete(script);
        }
    }

    /// <summary>Each week, and by nobody's push: it may write issues.</summary>
    [Fact]
    public void Base_images_are_looked_at_each_week()
    {
        Assert.Equal(["schedule", "workflow_dispatch"], BaseImages.At("on")!.AsObject().Select(trigger => trigger.Key));
        Assert.Matches(@"^\d+ \d+ \* \* [0-6]$", Assert.Single(BaseImages.List("on/schedule")).Text("cron"));
        var step = Steps(BaseImages, "base-images")[^1];
        Assert.Equal("infra/container/base-images.sh --issue", step.Text("run"));
        Assert.Equal("${{ github.token }}", step.Map("env")["GH_TOKEN"]);
    }

    [Fact]
    public void Ci_runs_every_line_of_the_dockerfile_on_stand_ins_too() =>
        Assert.EndsWith(" make image-check", Steps(Ci, "image")[^1].Text("run"), StringComparison.Ordinal);

    private static JsonNode Of(string file) => file switch { "ci.yml" => Ci, "deploy-aks.yml" => Deploy, _ => BaseImages };

    private static string PathOf(string file) => Path.Combine(TestServices.RepositoryRoot, ".github", "workflows", file);

    private static JsonNode Load(string file) => Assert.Single(Yaml.Load(PathOf(file)));

    private static IEnumerable<JsonNode> StepsOf(string file) =>
        Load(file) is var workflow ? workflow.At("jobs")!.AsObject().SelectMany(job => job.Value.List("steps")) : [];

    private static IReadOnlyList<JsonNode> Steps(JsonNode workflow, string job) => workflow.List($"jobs/{job}/steps");

    private static List<string> Runs(JsonNode workflow) =>
        [.. workflow.At("jobs")!.AsObject().SelectMany(job => job.Value.List("steps"))
            .Select(step => step.Text("run")).OfType<string>().Distinct(StringComparer.Ordinal)];

    private static IEnumerable<string> Needs(string job) =>
        Deploy.At($"jobs/{job}/needs") is JsonArray list ? list.Select(name => name!.ToString()) : [Deploy.Text($"jobs/{job}/needs")!];

    [GeneratedRegex(@"\buses:", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex UsesLine();

    [GeneratedRegex(@"\bdocker build\b", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex DockerBuild();
}
