using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using GptFunctions.Tests.Keys;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.Deployment;

/// <summary>
/// deployment.md 14: the runbook's ways, walked: its shell blocks as they stand in the text, in their order, with what is typed in between, against
/// recorded kubectl, az and curl, and against the program, its database and its keys where a way is about those.
/// </summary>
public sealed partial class RunbookWalkTests
{
    private static readonly string Runbook = File.ReadAllText(Path.Combine(TestServices.RepositoryRoot, "infra", "runbook.md"));

    [Fact]
    public async Task Deploy_and_roll_back_go_as_they_are_written()
    {
        using var bench = NewBench("production");
        foreach (var (file, text) in ((string, string)[])[("settings.env", $"PUBLIC_BASE_URL={DeployBench.Url}\n"), ("azure.yaml", "    keyvaultName: x\n")])
        {
            bench.WriteOverlay(file, text, "staging");
        }

        var (deploy, back) = (Assert.Single(Blocks("Deploy")), Assert.Single(Blocks("Roll back")));
        var (code, said) = await bench.WalkAsync(deploy.Replace("sha256:...", DeployBench.Digest, StringComparison.Ordinal), "production\n");
        Assert.True(code == 0, said);
        Assert.Contains("Deployed to staging: contosogpt.azurecr.io/gpt-functions@sha256:1", said, StringComparison.Ordinal);
        Assert.Contains("Deployed to production: contosogpt.azurecr.io/gpt-functions@sha256:1", said, StringComparison.Ordinal);

        (code, said) = await bench.WalkAsync(back, "production\nproduction\n");
        Assert.True(code == 0, said);
        Assert.Equal(2, said.Split($"Rolled back: {DeployBench.ImageBefore} runs in production again").Length - 1);
        Assert.Contains("Nothing was changed (--dry-run).", said, StringComparison.Ordinal);
    }

    /// <summary>At its end everything that was stopped runs, on the restored server, and somebody outside was answered.</summary>
    [Theory]
    [InlineData("production")]
    [InlineData("staging")]
    public async Task Restore_ends_with_pods_that_run_and_answer(string environment)
    {
        using var bench = NewBench(environment);
        var vault = bench.MakeVault([
            new("database-url", "postgresql://gpt_app:a@contoso-gpt/gptfunctions"), new(
                "database-owner-url", "postgresql://gpt_owner:b@contoso-gpt/gptfunctions"),
        ]);
        bench.Insert("^az postgres flexible-server restore --resource-group gpt --name contoso-gpt-restored --source-server contoso-gpt --restore-time ");
        bench.Insert("rollout restart deployment/gpt-functions-audit$");
        var blocks = Blocks("Restore").Where(block => !block.Contains("COPY", StringComparison.Ordinal)).ToList();
        Assert.Equal(3, blocks.Count);
        var shell = string.Join('\n', blocks);
        if (environment == "staging")
        {
            var instead = Instead().Match(Runbook).Groups["settings"].Value; // as the text says
            Assert.Contains("ENVIRONMENT=production NAMESPACE=gpt-functions ", shell, StringComparison.Ordinal);
            shell = shell.Replace("ENVIRONMENT=production NAMESPACE=gpt-functions ", instead + " ", StringComparison.Ordinal);
        }

        var (code, said) = await bench.WalkAsync(
            shell,
            "postgresql://gpt_app:a@contoso-gpt-restored/gptfunctions\npostgresql://gpt_owner:b@contoso-gpt-restored/gptfunctions\nproduction\n");
        Assert.True(code == 0, said);
        Assert.False(bench.IsStopped);
        Assert.Contains($"Rolled back: {DeployBench.ImageBefore} runs in {environment} again", said, StringComparison.Ordinal);
        Assert.Equal("postgresql://gpt_app:a@contoso-gpt-restored/gptfunctions", await File.ReadAllTextAsync(Path.Combine(vault, "database-url")));
        Assert.Equal("postgresql://gpt_owner:b@contoso-gpt-restored/gptfunctions", await File.ReadAllTextAsync(Path.Combine(vault, "database-owner-url")));

        var calls = bench.Calls.ToList();
        string[] order =
        [
            $"kubectl -n {bench.Namespace} scale deployment/gpt-functions-http deployment/gpt-functions-timers "
                + "--replicas=0", "az postgres flexible-server restore",
            "az keyvault secret set", "rollout restart deployment/gpt-functions-audit", "apply -f ", "scale deployment/gpt-functions-http --replicas=2",
            "rollout status deployment/gpt-functions-http", "/ready",
        ];
        var at = -1;
        foreach (var step in order)
        {
            at = calls.FindIndex(at + 1, call => call.Contains(step, StringComparison.Ordinal));
            Assert.True(at >= 0, $"{step} does not come after the steps before it:\n{string.Join('\n', calls)}");
        }
    }

    /// <summary>keys.md 7, by the runbook's own lines: the pods' program is the real one, and the vault is what it reads its secrets from.</summary>
    [Fact]
    public async Task Signing_key_turns_and_a_stolen_one_ends()
    {
        var old = SigningKey.Generate();
        using var bench = NewBench("production");
        var vault = bench.MakeVault([new("gpt-ec-private-key", old)]);
        await using var app = await TestApp.StartAsync(
            nameof(RunbookWalkTests), new() { ["GPT_EC_PRIVATE_KEY"] = null, ["GPT_KEY_PUBLISH_SECONDS"] = "1", ["SECRETS_PATH"] = vault });
        foreach (var (name, value) in app.Settings.With([
            new("PROGRAM", Path.Combine(AppContext.BaseDirectory, "GptFunctions.dll")), new("USER", "op"),
            new("KUBE_CONTEXT", "gpt"), new("SECRETS_SOURCE", "keyvault"), // exported at the beginning of the section
        ]))
        {
            bench.Settings[name] = value;
        }

        var client = await OAuthFlow.AddClientAsync(app);
        var flow = new OAuthFlow(app.Http);
        var first = (await flow.TokensAsync(client, "user_first"))["access_token"]!;
        var blocks = Blocks("Rotating the signing key");
        Assert.Equal(3, blocks.Count);
        var (add, retire, stolen) = (blocks[0], blocks[1], blocks[2]);
        var keys = string.Concat(add.Split('\n').Where(line => line.StartsWith("KEYS=", StringComparison.Ordinal))) + "\n";

        await WalkAsync(bench, add, 0);
        await Wait.UntilAsync(async () => (await KeySetAsync(app)).Length == 2);
        var next = (await KeySetAsync(app))[0];
        await Wait.UntilAsync(async () => Signer((await flow.TokensAsync(client, "user_next"))["access_token"]!) == next);
        await WalkAsync(bench, keys + retire.Replace("KID", KeyPublicationTests.IdOf(old), StringComparison.Ordinal), 0);
        var kept = (await File.ReadAllTextAsync(Path.Combine(vault, "gpt-ec-private-key"))).Split(' ');
        Assert.Equal([true, false], kept.Select(key => SigningKey.TryParse(key, out _)));
        Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(first)).Status);

        // Once more, while its tokens live: the program refuses, nothing comes through the pipe, and nothing is stored.
        var said = await WalkAsync(bench, keys + retire.Replace("KID", KeyPublicationTests.IdOf(old), StringComparison.Ordinal), 1);
        Assert.Contains("live until", said, StringComparison.Ordinal);
        Assert.Contains("GPT_EC_PRIVATE_KEY is empty", said, StringComparison.Ordinal);
        // Nor by hand.
        said = await WalkAsync(bench, $"printf %s {kept[0]} | infra/deploy/secrets.sh --environment production --only gpt-ec-private-key", 1);
        Assert.Contains("its tokens live until", said, StringComparison.Ordinal);
        Assert.Equal(string.Join(' ', kept), await File.ReadAllTextAsync(Path.Combine(vault, "gpt-ec-private-key")));

        await WalkAsync(bench, add, 0);
        await Wait.UntilAsync(async () => (await KeySetAsync(app)).Length == 3);
        await WalkAsync(bench, keys + stolen.Replace("KID", next, StringComparison.Ordinal), 0);
        await Wait.UntilAsync(async () => !(await KeySetAsync(app)).Contains(next, StringComparer.Ordinal));
        Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(first)).Status); // of the key before
        Assert.NotEqual(next, Signer((await flow.TokensAsync(client, "user_last"))["access_token"]!));
    }

    [Fact]
    public async Task Refresh_key_turns_in_three_steps_and_in_no_other_order()
    {
        var old = Convert.ToBase64String(new byte[32]);
        using var bench = NewBench("production");
        var file = Path.Combine(bench.MakeVault([new("gpt-refresh-key", old)]), "gpt-refresh-key");
        var blocks = Blocks("Rotating the refresh key");
        Assert.Equal(4, blocks.Count);
        const string Terminal = "export KUBE_CONTEXT=gpt SECRETS_SOURCE=keyvault\n";

        await WalkAsync(bench, Terminal + blocks[1], 1); // not announced
        Assert.Contains("wait three, then --refresh-key turn", await WalkAsync(bench, Terminal + blocks[0], 0), StringComparison.Ordinal);
        var announced = (await File.ReadAllTextAsync(file)).Split(' ');
        Assert.Equal((2, old), (announced.Length, announced[0]));
        await WalkAsync(bench, Terminal + blocks[0], 1); // twice
        await WalkAsync(bench, Terminal + blocks[1], 0);
        Assert.Equal($"{announced[1]} {old}", await File.ReadAllTextAsync(file));
        await WalkAsync(bench, Terminal + blocks[2], 0);
        Assert.Equal(announced[1], await File.ReadAllTextAsync(file));
        await WalkAsync(bench, Terminal + blocks[3], 0);
        Assert.DoesNotContain(announced[1], await File.ReadAllTextAsync(file), StringComparison.Ordinal);
        Assert.DoesNotContain(bench.Calls, call => call.Contains(announced[1], StringComparison.Ordinal));
    }

    [Fact]
    public async Task Any_secret_goes_to_the_vault_as_it_is_typed()
    {
        using var bench = NewBench("production");
        var vault = bench.MakeVault([new("stripe-webhook-secret", "whsec_old")]);
        var (code, said) = await bench.WalkAsync(Blocks("Rotate")[0], "whsec_new whsec_old\n");
        Assert.True(code == 0, said);
        Assert.Equal("whsec_new whsec_old", await File.ReadAllTextAsync(Path.Combine(vault, "stripe-webhook-secret")));
        Assert.DoesNotContain("whsec_new", said + string.Concat(bench.Calls), StringComparison.Ordinal);
    }

    /// <summary>The pods of a cluster whose context is the runbook's, and a vault that holds every secret.</summary>
    private static DeployBench NewBench(string environment)
    {
        var bench = new DeployBench(environment);
        bench.Insert("config current-context", "gpt");
        bench.Insert("^az acr repository show --name contosogpt ");
        bench.Insert("^az keyvault secret list ", string.Concat(DeployBench.SecretKeys.Select(key => key + "\n")) + "database-owner-url\n");
        return bench;
    }

    private static async Task<string> WalkAsync(DeployBench bench, string text, int expected)
    {
        var (code, said) = await bench.WalkAsync(text);
        Assert.True(code == expected, said);
        return said;
    }

    private static async Task<string[]> KeySetAsync(TestApp app)
    {
        var keys = JsonElement.Parse(await app.Http.GetStringAsync(new Uri("/.well-known/jwks.json", UriKind.Relative)));
        return [.. keys.GetProperty("keys").EnumerateArray().Select(key => key.GetProperty("kid").GetString()!)];
    }

    private static string Signer(string token) => AccessTokenText.Header(token).GetProperty("kid").GetString()!;

    /// <summary>The shell blocks under a heading, to the next heading of any level; those of list items without their indent.</summary>
    private static List<string> Blocks(string heading)
    {
        var at = Runbook.IndexOf($"# {heading}\n", StringComparison.Ordinal);
        Assert.True(at > 0, heading);
        var section = NextHeading().Split(Runbook[(at + heading.Length)..])[0];
        return [.. ShellBlock().Matches(section)
            .Select(match => match.Groups["text"].Value.Replace("\n" + match.Groups["indent"].Value, "\n", StringComparison.Ordinal).Trim())];
    }

    [GeneratedRegex("^##+ ", RegexOptions.Multiline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex NextHeading();

    [GeneratedRegex(@"^(?<indent> *)```sh\n(?<text>.*?)```", RegexOptions.Singleline | RegexOptions.Multiline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex ShellBlock();

    [GeneratedRegex("`(?<settings>ENVIRONMENT=staging NAMESPACE=[a-z-]+)`", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Instead();
}
