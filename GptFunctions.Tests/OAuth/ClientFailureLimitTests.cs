using System.Net;
using System.Text;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;

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

    private async Task<JsonAnswer> TryAsync(string clientId, string? secret, string address, string path = "/oauth/token")
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(path, UriKind.Relative)) { Headers = { { "X-Real-IP", address } } };
        var form = OAuthFlow.Query([("grant_type", "refresh_token"), ("refresh_token", "no-such-token"), ("token", "no-such-token"), ("client_id", clientId), ("client_secret", secret)]);
        request.Content = new StringContent(form.TrimStart('?'), Encoding.ASCII, "application/x-www-form-urlencoded");
        return await flow.SendAsync(request);
    }
}
