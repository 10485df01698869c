using System.Net;
using System.Text;
using System.Text.Json;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.OAuth;

/// <summary>The ingress names the caller's address in a header, so tests can come from anywhere.</summary>
public sealed class BehindIngress : AppFixture<ClientFailureLimitTests>
{
    protected override IEnumerable<KeyValuePair<string, string?>> Settings => [new("CLIENT_ADDRESS_HEADER", "X-Real-IP")];
}

/// <summary>oauth.md 13: failed client authentications are limited per client id and address, and nobody can lock a client out.</summary>
public sealed class ClientFailureLimitTests(BehindIngress fixture) : IClassFixture<BehindIngress>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    [Fact]
    public async Task Failures_beyond_ten_are_429_and_leave_no_audit_rows_and_lock_nobody_out()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var other = await OAuthFlow.AddClientAsync(app);
        for (var attempt = 1; attempt <= 10; attempt++)
        {
            Assert.Equal((HttpStatusCode.Unauthorized, "invalid_client"), Status(await TryAsync(client.Id, "wrong", "192.0.2.1")));
        }

        for (var attempt = 11; attempt <= 13; attempt++)
        {
            var limited = await TryAsync(client.Id, "wrong", "192.0.2.1");
            Assert.Equal((HttpStatusCode)429, limited.Status);
            Assert.InRange(limited.Headers.RetryAfter?.Delta ?? TimeSpan.Zero, TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(15));
            Assert.True(limited.Headers.CacheControl?.NoStore);
        }

        Assert.Equal((HttpStatusCode.BadRequest, "invalid_grant"), Status(await TryAsync(client.Id, client.Secret, "192.0.2.1")));
        Assert.Equal((HttpStatusCode.BadRequest, "invalid_grant"), Status(await TryAsync(client.Id, client.Secret, "192.0.2.2")));
        Assert.Equal((HttpStatusCode.Unauthorized, "invalid_client"), Status(await TryAsync(client.Id, "wrong", "192.0.2.2")));
        Assert.Equal((HttpStatusCode.Unauthorized, "invalid_client"), Status(await TryAsync(other.Id, "wrong", "192.0.2.1")));
        var told = await app.Database.EventsAsync(AuditEvents.ClientAuthFailed, "client_id", client.Id);
        Assert.Equal(11, told.Count);
        Assert.Equal(10, told.Count(envelope => envelope.GetProperty("payload").GetProperty("ip_address").GetString() == "192.0.2.1"));
    }

    /// <summary>Whoever has one IPv6 address has all of its /64.</summary>
    [Fact]
    public async Task Failures_from_one_ipv6_network_are_counted_together_and_the_trail_names_each_address()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        for (var attempt = 1; attempt <= 10; attempt++)
        {
            Assert.Equal(HttpStatusCode.Unauthorized, (await TryAsync(client.Id, "wrong", $"2001:db8:0:1::{attempt}")).Status);
        }

        Assert.Equal((HttpStatusCode)429, (await TryAsync(client.Id, "wrong", "2001:db8:0:1:ffff::1")).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await TryAsync(client.Id, "wrong", "2001:db8:0:2::1")).Status);
        var told = await app.Database.EventsAsync(AuditEvents.ClientAuthFailed, "client_id", client.Id);
        Assert.Equal(
            11, told.Select(envelope => envelope.GetProperty("payload").GetProperty("ip_address").GetString()).Distinct(StringComparer.Ordinal).Count());
    }

    /// <summary>An attacker does not decide how much the trail grows, and an attack that stopped is told all the same.</summary>
    [Fact]
    public async Task Failures_beyond_the_limit_are_told_once_when_the_window_is_over()
    {
        await using var replica = await app.StartReplicaAsync();
        var client = await OAuthFlow.AddClientAsync(app);
        for (var attempt = 1; attempt <= 14; attempt++)
        {
            await TryAsync(client.Id, "wrong", "192.0.2.40", on: replica);
        }

        // Later the limit lets some through again: they are counted, too.
        await app.Database.ExecuteAsync("DELETE FROM rate_limits");
        replica.Clock.Advance(TimeSpan.FromMinutes(5));
        for (var attempt = 1; attempt <= 3; attempt++)
        {
            Assert.Equal(HttpStatusCode.Unauthorized, (await TryAsync(client.Id, "wrong", "192.0.2.40", on: replica)).Status);
        }

        Assert.Equal(10, (await app.Database.EventsAsync(AuditEvents.ClientAuthFailed, "client_id", client.Id)).Count);
        Assert.Empty(await app.Database.EventsAsync(AuditEvents.ClientAuthLimited, "client_id", client.Id));

        replica.Clock.Advance(TimeSpan.FromMinutes(10) + TimeSpan.FromSeconds(1));

        await Wait.UntilAsync(async () => (await app.Database.EventsAsync(AuditEvents.ClientAuthLimited, "client_id", client.Id)).Count > 0);
        var told = Assert.Single(await app.Database.EventsAsync(AuditEvents.ClientAuthLimited, "client_id", client.Id)).GetProperty("payload");
        Assert.Equal(
            (7, "192.0.2.40", "192.0.2.40"),
            (told.GetProperty("tries").GetInt32(), told.GetProperty("network").GetString(), told.GetProperty("ip_address").GetString()));
    }

    /// <summary>Ids that somebody makes up: ten times the limit are audited, then nothing is left behind but a number.</summary>
    [Fact]
    public async Task Failures_with_made_up_ids_are_told_once_when_the_process_stops_and_leave_no_buckets()
    {
        await using (var replica = await app.StartReplicaAsync(("GPT_AUTH_FAILURE_LIMIT", "1")))
        {
            for (var attempt = 1; attempt <= 10; attempt++)
            {
                Assert.Equal(HttpStatusCode.Unauthorized, (await TryAsync($"made-up-{attempt}", "wrong", "2001:db8:0:5::1", on: replica)).Status);
            }

            Assert.Equal((HttpStatusCode)429, (await TryAsync("made-up-11", "wrong", "2001:db8:0:5::2", on: replica)).Status);
            var buckets = await app.Database.ScalarAsync<long>("SELECT count(*) FROM rate_limits");
            for (var attempt = 12; attempt <= 30; attempt++)
            {
                Assert.Equal((HttpStatusCode)429, (await TryAsync($"made-up-{attempt}", "wrong", "2001:db8:0:5::2", on: replica)).Status);
            }

            Assert.Equal(buckets, await app.Database.ScalarAsync<long>("SELECT count(*) FROM rate_limits"));
        }

        var told = Assert.Single(await app.Database.EventsAsync(AuditEvents.ClientAuthLimited, "network", "2001:db8:0:5::/64")).GetProperty("payload");
        Assert.Equal((20, JsonValueKind.Null), (told.GetProperty("tries").GetInt32(), told.GetProperty("client_id").ValueKind));
    }

    /// <summary>One limit for all three endpoints: guessing at another one gains nothing.</summary>
    [Fact]
    public async Task Failures_are_counted_together_for_token_revoke_and_introspect()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        for (var attempt = 1; attempt <= 10; attempt++)
        {
            await TryAsync(client.Id, "wrong", "192.0.2.10", "/oauth/token");
        }

        Assert.Equal((HttpStatusCode)429, (await TryAsync(client.Id, "wrong", "192.0.2.10", "/oauth/revoke")).Status);
        Assert.Equal((HttpStatusCode)429, (await TryAsync(client.Id, "wrong", "192.0.2.10", "/oauth/introspect")).Status);
    }

    /// <summary>Otherwise the limit itself would tell which clients exist.</summary>
    [Fact]
    public async Task Failures_of_an_unknown_client_are_limited_alike()
    {
        for (var attempt = 1; attempt <= 10; attempt++)
        {
            Assert.Equal(HttpStatusCode.Unauthorized, (await TryAsync("unknown-client", "wrong", "192.0.2.20")).Status);
        }

        Assert.Equal((HttpStatusCode)429, (await TryAsync("unknown-client", "wrong", "192.0.2.20")).Status);
    }

    [Fact]
    public async Task Failures_all_at_once_are_limited_exactly()
    {
        var client = await OAuthFlow.AddClientAsync(app);

        var answers = await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => TryAsync(client.Id, "wrong", "192.0.2.30")));

        Assert.Equal(10, answers.Count(answer => answer.Status == HttpStatusCode.Unauthorized));
        Assert.Equal(30, answers.Count(answer => (int)answer.Status == 429));
    }

    private static (HttpStatusCode Status, string? Error) Status(JsonAnswer answer) => (answer.Status, answer.Error);

    private async Task<JsonAnswer> TryAsync(string clientId, string? secret, string address, string path = "/oauth/token", TestApp? on = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(path, UriKind.Relative)) { Headers = { { "X-Real-IP", address } } };
        var form = OAuthFlow.Query([
            ("grant_type", "refresh_token"), ("refresh_token", "no-such-token"), ("token", "no-such-token"),
            ("client_id", clientId), ("client_secret", secret)]);
        request.Content = new StringContent(form.TrimStart('?'), Encoding.ASCII, "application/x-www-form-urlencoded");
        return await (on is null ? flow : new OAuthFlow(on.Http)).SendAsync(request);
    }
}
