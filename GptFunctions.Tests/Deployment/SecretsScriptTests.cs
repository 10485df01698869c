using static GptFunctions.Tests.Deployment.SecretsBench;

namespace GptFunctions.Tests.Deployment;

/// <summary>infra/deploy/secrets.sh: where values go, and which may not be missing.</summary>
public sealed class SecretsScriptTests
{
    [Fact]
    public async Task Secrets_go_through_a_pipe_and_stand_on_no_command_line_and_in_no_output()
    {
        using var bench = Bench();
        var (code, said) = await bench.RunAsync("secrets.sh", ["--environment", "production"]);
        Assert.True(code == 0, said);
        Assert.Equal("kubectl --context contoso --namespace gpt-functions apply --server-side --force-conflicts -f -", Assert.Single(bench.Changes));
        Assert.Equal(Good, Written(bench));
        Assert.Equal(2, bench.Input.Split("kind: Secret").Length - 1);
        Assert.Contains("name: gpt-setup\n", bench.Input.Split("---\n")[1], StringComparison.Ordinal);
        Assert.StartsWith("database-owner-url: ", bench.Input.Split("---\n")[1].Split("\ndata:\n  ")[1], StringComparison.Ordinal);
        AssertHidden(bench, said, Good.Values.Where(value => value != Id));
    }

    [Fact]
    public async Task Secret_that_is_optional_joins_the_others_when_it_is_set()
    {
        using var bench = Bench(("GPT_EC_PREVIOUS_KEYS", Public));
        var (code, said) = await bench.RunAsync("secrets.sh", ["--environment", "production"]);
        Assert.Equal((0, "Secrets gpt-secrets (10 keys) and gpt-setup (1) of gpt-functions are as the variables say.\n"), (code, said));
        Assert.Equal(Public, Written(bench)["GPT_EC_PREVIOUS_KEYS"]);
        Assert.DoesNotContain("orders-webhook-secret", bench.Input, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData(" \n")]
    public async Task Secrets_that_are_empty_are_refused_by_name_all_at_once(string value)
    {
        using var bench = Bench([.. Good.Keys.Select(name => (name, (string?)value))]);
        await AssertRefusedAsync(
            bench, string.Concat(Good.Keys.Select(name => $"refused: {name} is empty: set it (in GitHub: environment production, secret {name}).\n")));
    }

    [Fact]
    public async Task Application_with_the_owners_url_is_refused()
    {
        var url = "postgresql://somebody:b@db.contoso.test:5432/gptfunctions";
        using var bench = Bench(("DATABASE_URL", url), ("DATABASE_OWNER_URL", url));
        Assert.Contains("DATABASE_URL and DATABASE_OWNER_URL are the same", await AssertRefusedAsync(bench, null), StringComparison.Ordinal);
    }

    /// <summary>The gap that nobody sees before it opens: a Secret is made as a whole, so what is left out would be gone.</summary>
    [Theory]
    [InlineData("gpt-ec-previous-keys", "GPT_EC_PREVIOUS_KEYS")]
    [InlineData("service-key", "SERVICE_KEY")]
    public async Task Optional_secret_that_is_there_may_not_be_left_out(string key, string name)
    {
        using var bench = Bench();
        bench.Insert("get secret gpt-secrets .*\\{\\{\\$value", $"{key} {Convert.ToBase64String("x"u8)}\n");
        await AssertRefusedAsync(
            bench,
            $"refused: {key} is in the Secret gpt-secrets, and {name} is empty, which would take it away: "
                + $"set it (in GitHub: environment production, secret {name}), or say --remove {key}.\n");
        Assert.Equal(0, (await bench.RunAsync("secrets.sh", ["--environment", "production", "--remove", key])).ExitCode);
    }

    [Theory]
    [InlineData(
        "gateway.json", """{ "headers": { "x-api-key": "{secret:JOBS_KEY}" } }""", "JOBS_KEY is empty, and a route in gateway.json sends {secret:JOBS_KEY}")]
    [InlineData(
        "settings.env", "VERIFICATION_CALLBACK_URL=https://shop.contoso.test\n", "VERIFICATION_CALLBACK_SECRET is empty, and VERIFICATION_CALLBACK_URL")]
    public async Task Secret_that_settings_or_routes_ask_for_is_missed_by_both_scripts(string file, string text, string expected)
    {
        ArgumentNullException.ThrowIfNull(expected);
        ArgumentNullException.ThrowIfNull(text);
        using var bench = Bench();
        bench.WriteOverlay(file, text);
        Assert.Contains(expected, await AssertRefusedAsync(bench, null), StringComparison.Ordinal);

        bench.Insert("^kubectl kustomize ", $"data:\n  PUBLIC_BASE_URL: {DeployBench.Url}\n  {text.Replace("=", ": ", StringComparison.Ordinal)}");
        var (code, said) = await bench.DeployAsync("--yes");
        Assert.Equal(1, code);
        var key = expected.Split(' ')[0].Replace('_', '-').ToLowerInvariant();
        Assert.Contains($"refused: Secret gpt-secrets lacks {key}, and ", said, StringComparison.Ordinal);
        Assert.Empty(bench.Changes);
    }

    [Theory]
    [InlineData("gateway.json", """  // for example "{secret:JOBS_KEY}" """)]
    [InlineData("settings.env", "# VERIFICATION_CALLBACK_URL=https://shop.contoso.test\n")]
    [InlineData("settings.env", "SAFE_MODE=true\nVERIFICATION_CALLBACK_URL=https://shop.contoso.test\n")]
    public async Task Comments_and_what_safe_mode_skips_ask_for_nothing(string file, string text)
    {
        using var bench = Bench();
        bench.WriteOverlay(file, text);
        var (code, said) = await bench.RunAsync("secrets.sh", ["--environment", "production"]);
        Assert.True(code == 0, said);
    }

    [Fact]
    public async Task Secret_of_a_route_goes_with_the_others()
    {
        using var bench = Bench(("JOBS_KEY", "what the API wants"));
        bench.WriteOverlay("gateway.json", """{ "headers": { "x-api-key": "{secret:JOBS_KEY}" } }""");
        Assert.Equal(0, (await bench.RunAsync("secrets.sh", ["--environment", "production"])).ExitCode);
        Assert.Equal("what the API wants", Written(bench)["JOBS_KEY"]);
    }

    [Fact]
    public async Task One_secret_from_standard_input_leaves_the_others_as_they_are()
    {
        using var bench = Bench();
        foreach (var name in Good.Keys)
        {
            bench.Settings.Remove(name);
        }

        var present = Good.Append(new("SERVICE_KEY", new string('k', 32))).ToDictionary(StringComparer.Ordinal);
        string Lines(bool isSetup) => string.Concat(present.Where(secret => secret.Key == "DATABASE_OWNER_URL" == isSetup)
            .Select(secret => $"{secret.Key.Replace('_', '-').ToLowerInvariant()} {Base64Of(secret.Value)}\n"));
        bench.Insert("get secret gpt-secrets .*\\{\\{\\$value", Lines(false) + "somebody-elses eA==\n");
        bench.Insert("get secret gpt-setup .*\\{\\{\\$value", Lines(true));
        bench.Insert("^gh secret set DATABASE_URL --env production$");
        var url = "postgresql://gpt_app:new@restored.contoso.test/gptfunctions";
        var (code, said) = await bench.RunAsync("secrets.sh", ["--environment", "production", "--only", "database-url"], url + "\n");
        Assert.True(code == 0, said);
        present["DATABASE_URL"] = url;
        present.Remove("DATABASE_OWNER_URL"); // a Secret of its own
        Assert.Equal(present.OrderBy(secret => secret.Key, StringComparer.Ordinal), Written(bench).OrderBy(secret => secret.Key, StringComparer.Ordinal));
        Assert.Contains("gh secret set DATABASE_URL --env production", said, StringComparison.Ordinal);
        Assert.Contains("rollout restart deployment/gpt-functions-http", said, StringComparison.Ordinal);
        AssertHidden(bench, said, present.Values.Where(value => value != Id));

        (code, said) = await bench.RunAsync("secrets.sh", ["--environment", "production", "--only", "database-url", "--github"], url);
        Assert.True(code == 0, said);
        var calls = bench.Calls.ToList();
        Assert.InRange(calls.FindIndex(call => call.StartsWith("gh ", StringComparison.Ordinal)), 1, calls.Count - 2); // before the cluster
        await AssertRefusedAsync(
            bench, "refused: DATABASE_URL is empty: set it (in GitHub: environment production, secret DATABASE_URL).\n", "--only", "database-url");
    }

    [Fact]
    public async Task One_secret_goes_into_the_vault_of_the_environment()
    {
        using var bench = Bench();
        bench.Settings["SECRETS_SOURCE"] = "keyvault";
        bench.Insert("^az keyvault secret list --vault-name contoso-gpt ", "gpt-refresh-key\ngpt-client-id\n");
        bench.Insert("^az keyvault secret show --vault-name contoso-gpt --name gpt-refresh-key --query value", RefreshKeys("a"));
        bench.Insert("^az keyvault secret set --vault-name contoso-gpt --name gpt-refresh-key --file /dev/stdin --encoding utf-8 --output none$");
        var (code, said) = await bench.RunAsync("secrets.sh", ["--environment", "production", "--only", "gpt-refresh-key"], RefreshKeys("a b"));
        Assert.True(code == 0, said);
        Assert.Equal(RefreshKeys("a b"), bench.Input);
        Assert.StartsWith("gpt-refresh-key of Key Vault contoso-gpt is as given.\n", said, StringComparison.Ordinal);
        AssertHidden(bench, said, RefreshKeys("a b").Split(' '));

        (code, said) = await bench.RunAsync("secrets.sh", ["--environment", "production", "--only", "gpt-refresh-key"], RefreshKeys("b a"));
        Assert.True(code == 1, said);
        Assert.Equal(RefreshKeys("a b"), bench.Input); // nothing more went in
    }

    [Theory]
    [InlineData("There is no secret 'gpt-client': it is one of gpt-client-id ", "--only", "gpt-client")]
    [InlineData("--remove takes one of gpt-ec-previous-keys ", "--remove", "database-url")]
    [InlineData("--github goes with --only KEY.", "--github")]
    public async Task Arguments_that_make_no_sense_are_wrong_usage(string expected, params string[] arguments)
    {
        using var bench = Bench();
        var (code, said) = await bench.RunAsync("secrets.sh", ["--environment", "production", .. arguments], "x");
        Assert.True(code == 2, said);
        Assert.StartsWith("error: " + expected, said, StringComparison.Ordinal);
    }
}
