using System.Net;
using System.Text.Json;
using GptFunctions.Hosting;
using GptFunctions.Keys;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;
using Microsoft.Extensions.DependencyInjection;

namespace GptFunctions.Tests.Keys;

/// <summary>keys.md 1 to 5: what the replicas know together of the keys, and who signs.</summary>
public sealed class KeyPublicationTests : IAsyncLifetime
{
    private readonly string old = SigningKey.Generate();
    private readonly string next = SigningKey.Generate();
    private TestDatabase database = null!;

    public async Task InitializeAsync() => database = await TestDatabase.CreateAsync(nameof(KeyPublicationTests));

    public async Task DisposeAsync() => await database.DisposeAsync();

    [Fact]
    public async Task Fresh_installation_signs_at_once_and_tells_of_no_change()
    {
        await using var app = await StartAsync(old);
        Assert.Equal(IdOf(old), await SignerAsync(app));
        await Wait.UntilAsync(() => database.ScalarAsync<bool>("SELECT count(*) = 1 FROM gpt_signing_keys WHERE signing_since IS NOT NULL"));
        Assert.Equal(0, await ChangesAsync());
    }

    [Fact]
    public async Task New_key_is_served_and_verified_at_once_and_signs_when_it_has_been_published_for_long_enough()
    {
        await using var before = await StartAsync(old);
        await using var after = await StartAsync($"{next} {old}");
        await using var late = await StartAsync($"{next} {old}");
        Assert.Equal([IdOf(next), IdOf(old)], await KeySetAsync(after));
        Assert.Equal((IdOf(old), IdOf(old)), (await SignerAsync(after), await SignerAsync(late)));

        after.Clock.Advance(TimeSpan.FromSeconds(590));
        Assert.Equal(IdOf(old), await SignerAsync(after));
        after.Clock.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal((IdOf(next), IdOf(old)), (await SignerAsync(after), await SignerAsync(late)));
        var token = await TokenAsync(after);
        late.Clock.Advance(TimeSpan.FromSeconds(600)); // its own clock, as all clocks of the tests
        Assert.Equal((IdOf(next), HttpStatusCode.OK), (KeyIdOf(token), (await new OAuthFlow(late.Http).SessionsAsync(token)).Status));
    }

    /// <summary>One that begins later learns from the database, and need not wait anew.</summary>
    [Fact]
    public async Task Replica_that_starts_goes_by_what_the_others_published()
    {
        await using (await StartAsync($"{next} {old}"))
        {
        }

        await database.ExecuteAsync("UPDATE gpt_signing_keys SET published_at = now() - interval '601 s'");
        await using var app = await StartAsync($"{next} {old}");
        Assert.Equal(IdOf(next), await SignerAsync(app));
    }

    [Fact]
    public async Task Change_is_logged_and_audited_once_by_whichever_replica_is_first()
    {
        var settings = ("GPT_KEY_PUBLISH_SECONDS", "2");
        await using var before = await StartAsync(old, settings);
        await using var one = await StartAsync($"{next} {old}", settings);
        await using var two = await StartAsync($"{next} {old}", settings);
        await Wait.UntilAsync(async () => await SignerAsync(one) == IdOf(next) && await SignerAsync(two) == IdOf(next));
        await Wait.UntilAsync(async () => await ChangesAsync() == 1);
        await Wait.UntilAsync(() => database.ScalarAsync<bool>(
            "SELECT count(*) = 1 AND min(signed_at) > min(signing_since) + interval '2.5 s' FROM gpt_signing_keys WHERE signing_since IS NOT NULL"));
        Assert.Equal(1, await ChangesAsync()); // the one that has the old key alone has reported several times meanwhile, and so have the others
        Assert.Single(one.Log.Lines.Concat(two.Log.Lines).Concat(before.Log.Lines), line => line.StartsWith("Information 2050", StringComparison.Ordinal));
        var payload = JsonElement.Parse((await database.ScalarAsync<string>(
            $"SELECT envelope ->> 'payload' FROM outbox_messages WHERE routing_key = '{KeyStore.Turned}'"))!);
        Assert.Equal(
            (IdOf(next), IdOf(old)), (payload.GetProperty("kid").GetString(), payload.GetProperty("previous_kid").GetString()));
    }

    [Fact]
    public async Task Key_that_was_taken_back_begins_anew_and_an_outage_of_everything_counts_for_nobody()
    {
        await using (await StartAsync($"{next} {old}"))
        {
        }

        await database.ExecuteAsync("UPDATE gpt_signing_keys SET published_at = now() - interval '3 hours', seen_at = now() - interval '2 hours'");
        await using (var app = await StartAsync($"{next} {old}"))
        {
            Assert.Equal(IdOf(next), await SignerAsync(app)); // nothing was running for two hours
        }

        await database.ExecuteAsync(
            $"""
            UPDATE gpt_signing_keys
            SET published_at = now() - interval '3 hours', seen_at = CASE WHEN kid = '{IdOf(next)}' THEN now() - interval '721 s' ELSE now() END
            """);
        await using (var app = await StartAsync($"{next} {old}"))
        {
            Assert.Equal(IdOf(old), await SignerAsync(app)); // others served their keys for twelve minutes, without it
        }
    }

    [Fact]
    public async Task Database_away_at_the_start_lets_the_oldest_sign_until_it_answers()
    {
        await using (await StartAsync($"{next} {old}"))
        {
        }

        await database.ExecuteAsync("UPDATE gpt_signing_keys SET published_at = now() - interval '601 s'");
        await using var proxy = new TestProxy(database.Url);
        await proxy.CutAsync();
        await using var app = await StartAsync($"{next} {old}", ("DATABASE_URL", proxy.Url));
        Assert.Equal(IdOf(old), app.Get<SigningKeys>().Current.KeyId);
        proxy.Restore();
        await Wait.UntilAsync(() => app.Get<SigningKeys>().Current.KeyId == IdOf(next));
    }

    [Fact]
    public async Task Self_test_says_which_key_waits_and_which_is_missing_here()
    {
        await using var behind = await StartAsync(old);
        await using var ahead = await StartAsync($"{next} {old}");
        var (state, waiting, _) = await CheckAsync(ahead);
        Assert.Equal(CheckState.Ok, state);
        Assert.Matches($"^{IdOf(next)} signs from 20..-..-.. ..:..:..Z$", Assert.Single(waiting));
        Assert.Equal(CheckState.Degraded, (await CheckAsync(behind)).State);
        Assert.StartsWith($"Other replicas have had the key {IdOf(next)} since ", (await CheckAsync(behind)).Error, StringComparison.Ordinal);

        await database.ExecuteAsync("UPDATE gpt_signing_keys SET seen_at = now() - interval '5 min', published_at = now() - interval '1 h'");
        Assert.Equal(CheckState.Ok, (await CheckAsync(behind)).State); // it never signed, so nobody misses it
        await database.ExecuteAsync($"UPDATE gpt_signing_keys SET signed_at = now() - interval '5 min' WHERE kid = '{IdOf(next)}'");
        Assert.StartsWith($"Tokens that the key {IdOf(next)} signed live until ", (await CheckAsync(behind)).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Row_of_a_key_goes_thirty_days_after_the_last_replica_had_it()
    {
        await using (await StartAsync($"{next} {old}"))
        {
        }

        await database.ExecuteAsync(
            $"UPDATE gpt_signing_keys SET published_at = '2020-01-01', seen_at = now() - interval '31 days' WHERE kid = '{IdOf(next)}'");
        await using var app = await StartAsync(old);
        Assert.Equal(1, await database.CountAsync("gpt_signing_keys"));
    }

    private static async Task<(CheckState State, string[] Waiting, string? Error)> CheckAsync(TestApp app)
    {
        var finding = new Finding();
        await app.Services.GetServices<ICheck>().Single(check => check.Name == "signing_key").RunAsync(finding, CancellationToken.None);
        return (finding.State, [.. finding.Details["waiting"]!.AsArray().Select(text => text!.ToString())], finding.Error);
    }

    private Task<TestApp> StartAsync(string keys, params (string Name, string? Value)[] settings) => TestApp.StartAsync(
        database, new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase) { ["GPT_EC_PRIVATE_KEY"] = keys }
            .With([new("PUBLIC_BASE_URL", "http://127.0.0.1:7071"), .. settings.Select(setting => KeyValuePair.Create(setting.Name, setting.Value))]));

    private Task<long> ChangesAsync() => database.CountAsync("outbox_messages", $"routing_key = '{KeyStore.Turned}'");

    private static async Task<string> SignerAsync(TestApp app) => KeyIdOf(await TokenAsync(app));

    private static async Task<string> TokenAsync(TestApp app) =>
        (await new OAuthFlow(app.Http).TokensAsync(await OAuthFlow.AddClientAsync(app), "user_keys"))["access_token"]!;

    private static string KeyIdOf(string token) => AccessTokenText.Header(token).GetProperty("kid").GetString()!;

    private static async Task<string[]> KeySetAsync(TestApp app) =>
        [.. JsonElement.Parse(await app.Http.GetStringAsync(new Uri("/.well-known/jwks.json", UriKind.Relative))).GetProperty("keys").EnumerateArray()
            .Select(key => key.GetProperty("kid").GetString()!)];

    internal static string IdOf(string key)
    {
        Assert.True(SigningKey.TryParsePublic(key, out var parsed));
        using (parsed)
        {
            return parsed!.KeyId;
        }
    }
}
