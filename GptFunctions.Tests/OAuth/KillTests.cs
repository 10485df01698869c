using System.Collections.Concurrent;
using System.Net;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

public sealed class ManySessions : AppFixture<KillTests>
{
    protected override IEnumerable<KeyValuePair<string, string?>> Settings =>
        [new("GPT_MAX_SESSIONS_PER_USER", "1000"), new("GPT_MAX_SESSIONS_IN_ALL", "1000")];
}

/// <summary>oauth.md 12: kill -9 while exchanges and refreshes run leaves no partial rows, and no client loses what it was given.</summary>
public sealed class KillTests(ManySessions fixture) : IClassFixture<ManySessions>
{
    private const int Rounds = 6;
    private const int ClientsPerRound = 16;

    /// <summary>Each is a sentence about the whole database that no single statement may ever break; the query counts the rows that do.</summary>
    private static readonly Dictionary<string, string> Invariants = new(StringComparer.Ordinal)
    {
        ["A used code has its session."] =
            "SELECT count(*) FROM gpt_authorization_codes code LEFT JOIN gpt_sessions session ON session.id = code.session_id WHERE "
                + "code.used_at IS NOT NULL AND session.id IS NULL",
        ["A session comes from exactly one code."] =
            "SELECT count(*) FROM gpt_sessions session WHERE (SELECT count(*) FROM gpt_authorization_codes code WHERE code.session_id = session.id) <> 1",
        ["A session has its first refresh token."] =
            "SELECT count(*) FROM gpt_sessions session WHERE NOT EXISTS (SELECT FROM gpt_refresh_tokens WHERE session_id = session.id AND generation = 0)",
        ["A session has exactly one token_exchanged event."] =
            "SELECT count(*) FROM gpt_sessions session WHERE (SELECT count(*) FROM outbox_messages WHERE routing_key = 'gpt.oauth.token_exchanged' "
                + "AND envelope -> 'payload' ->> 'session_id' = session.id::text) <> 1",
        ["The successor of a rotated token exists in the same session, one generation on."] =
            "SELECT count(*) FROM gpt_refresh_tokens old LEFT JOIN gpt_refresh_tokens new ON new.token_hash = old.rotated_to AND "
                + "new.session_id = old.session_id AND new.generation = old.generation + 1 WHERE old.rotated_to IS NOT NULL AND new.token_hash IS NULL",
        ["A later token has a rotated predecessor."] =
            "SELECT count(*) FROM gpt_refresh_tokens new WHERE generation > 0 AND NOT EXISTS (SELECT FROM gpt_refresh_tokens old WHERE "
                + "old.rotated_to = new.token_hash)",
        ["A session has one token_refreshed event per later token."] =
            "SELECT count(*) FROM gpt_sessions session WHERE (SELECT count(*) FROM gpt_refresh_tokens WHERE session_id = session.id AND generation > 0) <> "
                + "(SELECT count(*) FROM outbox_messages WHERE routing_key = 'gpt.oauth.token_refreshed' AND "
                + "envelope -> 'payload' ->> 'session_id' = session.id::text)",
    };

    private readonly TestApp app = fixture.App;

    [Fact]
    public async Task Kill_under_load_leaves_whole_changes_only_and_every_token_given_works()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var given = new ConcurrentBag<JsonAnswer>();
        var starting = AppProcess.StartAsync(app.Settings);
        for (var round = 0; round < Rounds; round++)
        {
            await using var process = await starting;
            starting = round + 1 < Rounds ? AppProcess.StartAsync(app.Settings) : starting; // the next one starts meanwhile
            await LoadAndKillAsync(process, client, round, given);
        }

        foreach (var (sentence, query) in Invariants)
        {
            Assert.True(await app.Database.ScalarAsync<long>(query) == 0, sentence);
        }

        var sessions = given.GroupBy(answer => AccessTokenText.SessionId(answer["access_token"]!)).ToList();
        Assert.InRange(sessions.Count, Rounds, Rounds * ClientsPerRound);
        Assert.True(given.Count > sessions.Count, "No round got as far as a refresh.");
        await Task.WhenAll(sessions.Select(session => AssertWorksAsync(client, session)));
    }

    /// <summary>What the client knows may be superseded by an answer that was lost; within the grace it leads on all the same.</summary>
    private async Task AssertWorksAsync(TestClient client, IEnumerable<JsonAnswer> session)
    {
        var last = session.MaxBy(answer => AccessTokenText.Claims(answer["access_token"]!).GetProperty("jti").GetGuid())!;
        Assert.Equal(HttpStatusCode.OK, (await fixture.Flow.SessionsAsync(last["access_token"]!)).Status);
        var next = await fixture.Flow.RefreshAsync(client, last["refresh_token"]!);
        Assert.True(next.Status == HttpStatusCode.OK, next.Text);
        Assert.Equal(HttpStatusCode.OK, (await fixture.Flow.SessionsAsync(next["access_token"]!)).Status);
    }

    /// <summary>
    /// Clients exchange codes and go on refreshing until the process is killed, which is after a number of answers that differs from round to round.
    /// </summary>
    private async Task LoadAndKillAsync(AppProcess process, TestClient client, int round, ConcurrentBag<JsonAnswer> given)
    {
        var codes = await Task.WhenAll(Enumerable.Range(0, ClientsPerRound).Select(index => fixture.Flow.CodeAsync(client, $"user_{index}")));
        var flow = new OAuthFlow(process.Http);
        var enough = given.Count + 1 + (round * ClientsPerRound / 2);
        var load = codes.Select(code => UseAsync(flow, client, code, given)).ToList();
        await Wait.UntilAsync(() => given.Count >= enough);
        await process.KillAsync();
        await Task.WhenAll(load);
    }

    private static async Task UseAsync(OAuthFlow flow, TestClient client, string code, ConcurrentBag<JsonAnswer> given)
    {
        try
        {
            for (var answer = await flow.ExchangeAsync(client, code); ; answer = await flow.RefreshAsync(client, answer["refresh_token"]!))
            {
                Assert.True(answer.Status == HttpStatusCode.OK, answer.Text);
                given.Add(answer);
            }
        }
        catch (HttpRequestException)
        {
            // The process is gone: whether the last request took effect is not known here.
        }
    }
}
