using System.Net;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.OAuth;

/// <summary>oauth.md 23: a repeat within the grace is told once per token and address, so that a stolen token leaves a trace.</summary>
public sealed class RepeatedTokenTests(GatewayFixture<RepeatedTokenTests> fixture) : IClassFixture<GatewayFixture<RepeatedTokenTests>>, IAsyncLifetime
{
    private const string Home = "192.0.2.1";
    private const string Elsewhere = "198.51.100.7";
    private readonly TestApp app = fixture.App;
    private readonly List<IDisposable> disposables = [];
    private TestApp replica = null!;

    public async Task InitializeAsync() => replica = await app.StartReplicaAsync();

    public async Task DisposeAsync()
    {
        disposables.ForEach(disposable => disposable.Dispose());
        await replica.DisposeAsync();
    }

    /// <summary>Whatever the parallel calls and the replicas: one successor, one new row, and one event for each address.</summary>
    [Fact]
    public async Task Fifty_parallel_repeats_over_two_replicas_tell_once_per_address()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var (one, two) = (From(app, Home), From(replica, Home));
        var tokens = await one.TokensAsync(client, "user_parallel");
        var session = AccessTokenText.SessionId(tokens["access_token"]!);
        var second = await one.RefreshAsync(client, tokens["refresh_token"]!);
        Assert.Equal(0, await app.Database.CountOfSessionAsync(AuditEvents.TokenRepeated, session));

        var callers = (OAuthFlow[])[one, two, From(app, Elsewhere), From(replica, Elsewhere)];
        var answers = await Task.WhenAll(Enumerable.Range(0, 50).Select(number => callers[number % 4].RefreshAsync(client, tokens["refresh_token"]!)));

        Assert.All(answers, answer => Assert.Equal((HttpStatusCode.OK, second["refresh_token"]), (answer.Status, answer["refresh_token"])));
        Assert.Equal(2, await app.Database.CountAsync("gpt_refresh_tokens", $"session_id = '{session}'"));
        var told = await app.Database.EventsAsync(AuditEvents.TokenRepeated, "session_id", session.ToString());
        Assert.Equal(
            [Home, Elsewhere],
            told.Select(entry => entry.GetProperty("payload").GetProperty("ip_address").GetString()).Order(StringComparer.Ordinal));
        Assert.All(told.Select(entry => entry.GetProperty("payload")), payload => Assert.Equal(
            ("user_parallel", client.Id), (payload.GetProperty("clerk_user_id").GetString(), payload.GetProperty("client_id").GetString())));
        Assert.Equal(1, await app.Database.CountOfSessionAsync(AuditEvents.TokenRefreshed, session));
    }

    /// <summary>Told long ago, and gone from the outbox since: still told.</summary>
    [Fact]
    public async Task Repeat_that_was_told_and_delivered_is_not_told_again()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var flow = From(app, Home);
        var tokens = await flow.TokensAsync(client, "user_delivered");
        await flow.RefreshAsync(client, tokens["refresh_token"]!);
        await flow.RefreshAsync(client, tokens["refresh_token"]!);
        Assert.Equal(1, await app.Database.ScalarAsync<long>(
            "WITH sent AS (DELETE FROM outbox_messages WHERE routing_key = 'gpt.oauth.token_repeated' AND envelope -> 'payload' ->> 'clerk_user_id' = "
                + "'user_delivered' RETURNING 1) SELECT count(*) FROM sent"));

        await From(replica, Home).RefreshAsync(client, tokens["refresh_token"]!);

        Assert.Equal(0, await app.Database.CountOfSessionAsync(AuditEvents.TokenRepeated, AccessTokenText.SessionId(tokens["access_token"]!)));
    }

    /// <summary>Each token of the family for itself; what is refused was not repeated.</summary>
    [Fact]
    public async Task Repeats_are_told_for_each_token_and_only_when_they_were_answered()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var flow = From(app, Home);
        var first = await flow.TokensAsync(client, "user_each");
        var session = AccessTokenText.SessionId(first["access_token"]!);
        var second = await flow.RefreshAsync(client, first["refresh_token"]!);
        await flow.RefreshAsync(client, second["refresh_token"]!);

        Assert.Equal("invalid_scope", (await flow.RefreshAsync(client, first["refresh_token"]!, ("scope", "unheard:of"))).Error);
        Assert.Equal("invalid_client", (await flow.RefreshAsync(client with { Secret = "wrong" }, first["refresh_token"]!)).Error);
        Assert.Equal("invalid_grant", (await flow.RefreshAsync(await OAuthFlow.AddClientAsync(app), first["refresh_token"]!)).Error);
        Assert.Equal(0, await app.Database.CountOfSessionAsync(AuditEvents.TokenRepeated, session));

        await flow.RefreshAsync(client, first["refresh_token"]!);
        await flow.RefreshAsync(client, second["refresh_token"]!);
        Assert.Equal(2, await app.Database.CountOfSessionAsync(AuditEvents.TokenRepeated, session));
    }

    private OAuthFlow From(TestApp at, string address)
    {
        var http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false })
        {
            BaseAddress = at.Http.BaseAddress,
            DefaultRequestHeaders = { { "X-Real-IP", address } },
        };
        disposables.Add(http);
        return new OAuthFlow(http);
    }
}
