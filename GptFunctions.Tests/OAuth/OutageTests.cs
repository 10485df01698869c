using System.Net;
using GptFunctions.Data;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;
using Npgsql;

namespace GptFunctions.Tests.OAuth;

/// <summary>"Database trouble: 503, T still valid", and never an error on which clients throw their credentials away.</summary>
public sealed class OutageTests(AppFixture<OutageTests> fixture) : IClassFixture<AppFixture<OutageTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    /// <summary>The database refuses connections, as during a failover; then it is back.</summary>
    [Fact]
    public async Task Grants_during_an_outage_answer_503_and_work_afterwards()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_outage");
        var code = await flow.CodeAsync(client, "user_outage");

        await using (await TakeAwayAsync())
        {
            for (var attempt = 0; attempt < 3; attempt++)
            {
                AssertUnavailable(await flow.RefreshAsync(client, tokens["refresh_token"]!));
                AssertUnavailable(await flow.RefreshAsync(client with { Secret = "wrong" }, tokens["refresh_token"]!));
                AssertUnavailable(await flow.RefreshAsync(client, "unknown"));
                AssertUnavailable(await flow.ExchangeAsync(client, code));
                AssertUnavailable(await flow.RevokeAsync(client, tokens["refresh_token"]!));
                AssertUnavailable(await flow.IntrospectAsync(client, tokens["access_token"]!));
                AssertUnavailable(await flow.SessionsAsync(tokens["access_token"]!));
            }
        }

        Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(tokens["access_token"]!)).Status);
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Status);
        Assert.Equal(HttpStatusCode.OK, (await flow.ExchangeAsync(client, code)).Status);
    }

    /// <summary>The connection breaks, the statement is cancelled, or it waits for too long: each while it runs.</summary>
    [Theory]
    [InlineData("pg_terminate_backend")]
    [InlineData("pg_cancel_backend")]
    public async Task Refresh_that_is_cut_off_answers_503_and_the_token_stays_valid(string how)
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_" + how);
        var session = AccessTokenText.SessionId(tokens["access_token"]!);

        await using (await app.Database.HoldAsync($"SELECT FROM gpt_sessions WHERE id = '{session}' FOR UPDATE"))
        {
            var refreshing = flow.RefreshAsync(client, tokens["refresh_token"]!);
            await app.Database.WaitForBlockedAsync(1);
            await app.Database.ExecuteAsync($"SELECT {how}(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'");
            AssertUnavailable(await refreshing);
        }

        Assert.Equal(1, await app.Database.CountAsync("gpt_refresh_tokens", $"session_id = '{session}'"));
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Status);
    }

    [Fact]
    public async Task Exchange_that_is_cut_off_answers_503_and_the_code_stays_valid()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var code = await flow.CodeAsync(client, "user_cut_off");

        await using (await app.Database.HoldAsync("SELECT FROM users WHERE clerk_user_id = 'user_cut_off' FOR UPDATE"))
        {
            var exchanging = flow.ExchangeAsync(client, code);
            await app.Database.WaitForBlockedAsync(1);
            await app.Database.ExecuteAsync(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'");
            AssertUnavailable(await exchanging);
        }

        Assert.Equal(HttpStatusCode.OK, (await flow.ExchangeAsync(client, code)).Status);
    }

    /// <summary>A client that hangs up while its refresh runs loses nothing.</summary>
    [Fact]
    public async Task Refresh_whose_caller_hangs_up_leaves_a_token_that_works()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_hang_up");
        var session = AccessTokenText.SessionId(tokens["access_token"]!);

        await using (var held = await app.Database.HoldAsync($"SELECT FROM gpt_sessions WHERE id = '{session}' FOR UPDATE"))
        {
            using var impatience = new CancellationTokenSource();
            var refreshing = RefreshAsync(client, tokens["refresh_token"]!, impatience.Token);
            await app.Database.WaitForBlockedAsync(1);
            await impatience.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => refreshing);
            await held.LetGoAsync();
        }

        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Status);
    }

    private static void AssertUnavailable(JsonAnswer answer)
    {
        Assert.True((answer.Status, answer.Error) == (HttpStatusCode.ServiceUnavailable, "temporarily_unavailable"), $"{answer.Status} {answer.Text}");
        Assert.True(answer.Headers.RetryAfter?.Delta > TimeSpan.Zero);
        Assert.True(answer.Headers.CacheControl?.NoStore);
    }

    private async Task RefreshAsync(TestClient client, string token, CancellationToken cancellationToken)
    {
        using var form = new FormUrlEncodedContent(
            [new("grant_type", "refresh_token"), new("refresh_token", token), new("client_id", client.Id), new("client_secret", client.Secret)]);
        using var response = await app.Http.PostAsync(new Uri("/oauth/token", UriKind.Relative), form, cancellationToken);
    }

    /// <summary>Nobody can connect to this class's database until the result is disposed.</summary>
    private async Task<IAsyncDisposable> TakeAwayAsync()
    {
        var name = await app.Database.ScalarAsync<string>("SELECT current_database()::text");
        var server = NpgsqlDataSource.Create(new DatabaseSettings { Url = await TestServices.DatabaseUrlAsync(), PoolSize = 1 }.ToConnectionString());
        await ExecuteAsync($"ALTER DATABASE {name} ALLOW_CONNECTIONS false");
        await ExecuteAsync($"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
        return new Deferred(async () =>
        {
            await ExecuteAsync($"ALTER DATABASE {name} ALLOW_CONNECTIONS true");
            await server.DisposeAsync();
            app.Database.Source.Clear(); // the connections that were ended were this test's as well
        });

        async Task ExecuteAsync(string sql)
        {
            await using var command = server.CreateCommand(sql);
            await command.ExecuteNonQueryAsync();
        }
    }

    private sealed class Deferred(Func<Task> action) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync() => await action();
    }
}
