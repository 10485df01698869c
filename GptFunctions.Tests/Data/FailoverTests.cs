using System.Net;
using GptFunctions.Data;
using GptFunctions.Gateway;
using GptFunctions.Hosting;
using GptFunctions.RateLimits;
using GptFunctions.Tests.Gateway;
using GptFunctions.Tests.OAuth;
using GptFunctions.Tests.Support;
using Npgsql;

namespace GptFunctions.Tests.Data;

/// <summary>
/// After a failover, connections may still lead to the server of before, which takes no writes any more. All pools of the process are emptied then, also
/// those of other tests.
/// </summary>
[Collection(nameof(AfterAllOthers))]
public sealed class FailoverTests(GatewayFixture<FailoverTests> fixture) : IClassFixture<GatewayFixture<FailoverTests>>
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(4); // the promise is 2 s; this machine may be busy
    private readonly TestApp app = fixture.App;

    [Fact]
    public async Task Connections_that_became_read_only_are_left_and_everything_works_within_two_seconds()
    {
        var flow = new OAuthFlow(app.Http);
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_failover");
        var user = await fixture.Users.AddAsync();
        var name = await app.Database.ScalarAsync<string>("SELECT current_database()::text");

        await app.Database.ExecuteAsync($"ALTER DATABASE {name} SET default_transaction_read_only = on");
        app.Get<NpgsqlDataSource>().Clear(); // as the failover would have ended them; the new ones stick
        await FillPoolAsync(user);
        var refused = await flow.RefreshAsync(client, tokens["refresh_token"]!);
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "temporarily_unavailable"), (refused.Status, refused.Error));
        Assert.True(refused.Headers.RetryAfter?.Delta > TimeSpan.Zero);
        app.Clock.Advance(TimeSpan.FromSeconds(2)); // what /ready keeps
        using (var ready = await app.GetAsOperatorAsync("/ready"))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
            Assert.Contains("the database takes no writes", await ready.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        await FillPoolAsync(user);
        await app.Database.ExecuteAsync($"SET default_transaction_read_only = off; ALTER DATABASE {name} RESET default_transaction_read_only");

        await Wait.UntilAsync(async () => (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Status == HttpStatusCode.OK, Limit);
        await Wait.UntilAsync(async () => await StatusAsync(user) == HttpStatusCode.OK && !app.Get<RateLimiter>().IsLocal, Limit);
        app.Clock.Advance(TimeSpan.FromSeconds(2));
        using var again = await app.Http.GetAsync(new Uri("/ready", UriKind.Relative));
        Assert.Equal(HttpStatusCode.OK, again.StatusCode);
    }

    /// <summary>The relay, the purge and the audit trail do without <see cref="Database"/>.</summary>
    [Fact]
    public async Task Read_only_connection_is_left_whoever_meets_it()
    {
        await using var apart = await TestApp.StartAsync(nameof(FailoverTests) + "_apart");
        var name = await apart.Database.ScalarAsync<string>("SELECT current_database()::text");
        var source = apart.Get<NpgsqlDataSource>();
        await apart.Database.ExecuteAsync($"ALTER DATABASE {name} SET default_transaction_read_only = on");
        source.Clear();
        await using var write = source.CreateCommand("DELETE FROM outbox_messages");
        Assert.Equal(PostgresErrorCodes.ReadOnlySqlTransaction, (await Assert.ThrowsAsync<PostgresException>(() => write.ExecuteNonQueryAsync())).SqlState);

        await apart.Database.ExecuteAsync($"SET default_transaction_read_only = off; ALTER DATABASE {name} RESET default_transaction_read_only");

        await write.ExecuteNonQueryAsync();
    }

    /// <summary>What an operator or a failover does to connections and statements is an outage, not a bug.</summary>
    [Theory]
    [InlineData("25006")] // read_only_sql_transaction
    [InlineData("57P01")] // admin_shutdown
    [InlineData("57P02")] // crash_shutdown
    [InlineData("57P03")] // cannot_connect_now
    [InlineData("57P04")] // database_dropped
    [InlineData("57P05")] // idle_session_timeout
    [InlineData("57014")] // query_canceled
    [InlineData("08006")] // connection_failure
    [InlineData("08P01")] // protocol_violation, as poolers say it
    [InlineData("53300")] // too_many_connections
    [InlineData("53100")] // disk_full
    public void State_of_an_outage_is_one(string sqlState) => Assert.True(ErrorMapper.IsOutage(new PostgresException("text", "FATAL", "FATAL", sqlState)));

    /// <summary>Several connections at once, so that more than one is in the pool.</summary>
    private Task<JsonAnswer[]> FillPoolAsync(GatewayUser user) =>
        Task.WhenAll(Enumerable.Range(0, 5).Select(_ => new OAuthFlow(app.Http).SessionsAsync(user.Token)));

    private async Task<HttpStatusCode> StatusAsync(GatewayUser user)
    {
        using var response = await app.Http.CallAsync(user.Token, "/gpt/echo");
        return response.StatusCode;
    }
}
