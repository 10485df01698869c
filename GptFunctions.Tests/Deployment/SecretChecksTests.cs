using GptFunctions.Tests.Keys;
using static GptFunctions.Tests.Deployment.SecretsBench;

namespace GptFunctions.Tests.Deployment;

/// <summary>infra/deploy/secret-checks.sh: values that are refused before anything is changed. Each refusal names the secret and what to do.</summary>
public sealed class SecretChecksTests
{
    /// <summary>What the program would refuse when it starts: by then the pods would have it.</summary>
    [Theory]
    [InlineData("GPT_CLIENT_SECRET", "of thirty-one characters: 90123", "shorter than 32 characters")]
    [InlineData("GPT_EC_PRIVATE_KEY", "bm8ga2V5", "not the base64 of a P-256 key's PEM")]
    [InlineData("GPT_EC_PRIVATE_KEY", "KEY no-base64!", "not the base64 of a P-256 key's PEM")]
    [InlineData("GPT_EC_PRIVATE_KEY", "P384", "not the base64 of a P-256 key's PEM")]
    [InlineData("GPT_EC_PRIVATE_KEY", "PUBLIC", "public keys only")]
    [InlineData("GPT_EC_PREVIOUS_KEYS", "PUBLIC bm8ga2V5", "not the base64 of a P-256 key's PEM")]
    [InlineData("GPT_REFRESH_KEY", "dG9vIHNob3J0", "not the base64 of 32 bytes or more")]
    [InlineData("GPT_REFRESH_KEY", "not base64 at all, but long enough for one", "not the base64 of 32 bytes or more")]
    [InlineData("SERVICE_KEY", "tiny-1", "shorter than 32 characters")]
    [InlineData("CLERK_WEBHOOK_SECRET", "whsec_?", "no signing secret")]
    [InlineData("VERIFICATION_CALLBACK_SECRET", "whsec_c2hvcnQ=", "not whsec_ and base64 of 24 to 64 bytes")]
    [InlineData("DATABASE_URL", "mysql://gpt_app:a@db/gptfunctions", "no postgresql://")]
    [InlineData("DATABASE_URL", "postgresql://gpt_app:a@db", "no postgresql://")]
    [InlineData("DATABASE_URL", "postgresql://gpt_app:a@b@db/gptfunctions", "no postgresql://")]
    [InlineData("DATABASE_URL", "postgresql://gpt_owner:a@db/gptfunctions", "is the URL of gpt_owner", false)]
    [InlineData("DATABASE_OWNER_URL", "postgresql://gpt_app:a@db/gptfunctions", "is the URL of gpt_app", false)]
    [InlineData("RABBITMQ_URL", "http://gpt:a@broker", "no amqp:// or amqps:// URL")]
    [InlineData("STRIPE_WEBHOOK_SECRET", "one\ntwo", "more than one line", false)]
    public async Task Malformed_secret_is_refused_as_the_program_would(string name, string value, string expected, bool byProgram = true)
    {
        ArgumentNullException.ThrowIfNull(value);
        value = value.Replace("KEY", Key, StringComparison.Ordinal).Replace("PUBLIC", Public, StringComparison.Ordinal)
            .Replace("P384", NewP384(), StringComparison.Ordinal);
        using var bench = Bench((name, value));
        var said = await AssertRefusedAsync(bench, null);
        Assert.StartsWith($"refused: {name} ", said, StringComparison.Ordinal);
        Assert.Contains(expected, said, StringComparison.Ordinal);
        Assert.DoesNotContain(value, said, StringComparison.Ordinal);
        Assert.Equal(
            byProgram, (await ManifestSettingsTests.ProblemsAsync([new(name, value)])).Any(problem => problem.StartsWith(name, StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Good_secrets_are_good_for_the_program_too() => Assert.Empty(await ManifestSettingsTests.ProblemsAsync(Good));

    /// <summary>New values of the signing keys, those of now, what the program says of the one that would go; and what is said, null when it may go.</summary>
    [Theory]
    [InlineData("OTHER KEY", "KEY", "", null)]
    [InlineData("OTHER PUBLIC", "OTHER KEY", "", null)]
    [InlineData("OTHER", "OTHER KEY", """{"key_id":"ID","use":"verifies","tokens_live_until":null}""", null)]
    [InlineData("OTHER", "OTHER KEY", """{"key_id":"ID","use":"waits","tokens_live_until":null}""", null)] // taking an announcement back
    [InlineData("OTHER", "OTHER KEY", "", null)] // which no pod has ever had
    [InlineData(
        "OTHER", "OTHER PUBLIC", """{"key_id":"ID","use":"verifies","tokens_live_until":"2026-11-22T10:15:00Z"}""",
        "refused: the signing key ID would be gone, and its tokens live until 2026-11-22T10:15:00Z: put its public half back")]
    [InlineData("OTHER", "KEY", """{"key_id":"ID","use":"signs","tokens_live_until":null}""", "refused: the signing key ID would be gone, and it signs")]
    [InlineData("OTHER", "KEY", null, "refused: ID would no longer be among the signing keys, and no pod can be asked")]
    public async Task Signing_key_that_live_tokens_need_may_not_be_gone(string next, string now, string? said, string? expected)
    {
        ArgumentNullException.ThrowIfNull(next);
        ArgumentNullException.ThrowIfNull(now);
        using var bench = Bench(("GPT_EC_PRIVATE_KEY", KeysOf(next)));
        bench.Insert("get secret gpt-secrets .*\\{\\{\\$value", $"gpt-ec-private-key {Base64Of(KeysOf(now))}\n");
        var id = KeyPublicationTests.IdOf(Key);
        bench.Insert("exec deploy/gpt-functions-http .* keys list --json$", said?.Replace("ID", id, StringComparison.Ordinal) + "\n", said is null ? 1 : 0);
        if (expected is null)
        {
            Assert.Equal(0, (await bench.RunAsync("secrets.sh", ["--environment", "production"])).ExitCode);
            return;
        }

        Assert.StartsWith(expected.Replace("ID", id, StringComparison.Ordinal), await AssertRefusedAsync(bench, null), StringComparison.Ordinal);
        Assert.Equal(0, (await bench.RunAsync("secrets.sh", ["--environment", "production", "--force"])).ExitCode); // stolen
    }

    /// <summary>A previous key that only GPT_EC_PREVIOUS_KEYS had is missed there as well.</summary>
    [Fact]
    public async Task Previous_key_that_live_tokens_need_may_not_be_gone()
    {
        using var bench = Bench(("GPT_EC_PREVIOUS_KEYS", KeysOf("OTHER")));
        bench.Insert("get secret gpt-secrets .*\\{\\{\\$value", $"gpt-ec-private-key {Base64Of(Key)}\ngpt-ec-previous-keys {Base64Of(KeysOf("THIRD"))}\n");
        bench.Insert(
            "exec .* keys list --json$",
            $$"""{"key_id":"{{KeyPublicationTests.IdOf(KeysOf("THIRD"))}}","use":"verifies","tokens_live_until":"2026-11-22T10:15:00Z"}""");
        Assert.Contains("its tokens live until 2026-11-22T10:15:00Z", await AssertRefusedAsync(bench, null), StringComparison.Ordinal);
    }

    /// <summary>Pods read files minutes apart: a key is announced, then derives, then its predecessor goes.</summary>
    [Theory]
    [InlineData("a", "a b", null)]
    [InlineData("a b", "b a", null)]
    [InlineData("b a", "b", null)]
    [InlineData("a", "b a", "begins with a key that no pod has: put it behind the others first")]
    [InlineData("a", "b", "lacks the key that derives tokens now: keep it behind the new one for a day")]
    [InlineData("a b", "b", "lacks the key that derives tokens now")]
    public async Task Refresh_key_changes_in_three_steps(string now, string next, string? expected)
    {
        ArgumentNullException.ThrowIfNull(next);
        ArgumentNullException.ThrowIfNull(now);
        using var bench = Bench(("GPT_REFRESH_KEY", RefreshKeys(next)));
        bench.Insert("get secret gpt-secrets .*\\{\\{\\$value", $"gpt-refresh-key {Base64Of(RefreshKeys(now))}\n");
        if (expected is null)
        {
            Assert.Equal(0, (await bench.RunAsync("secrets.sh", ["--environment", "production"])).ExitCode);
            return;
        }

        Assert.Contains("GPT_REFRESH_KEY " + expected, await AssertRefusedAsync(bench, null), StringComparison.Ordinal);
        Assert.Equal(0, (await bench.RunAsync("secrets.sh", ["--environment", "production", "--force"])).ExitCode);
    }
}
