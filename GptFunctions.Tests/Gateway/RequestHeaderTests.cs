using System.Collections.Frozen;
using GptFunctions.Gateway;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Gateway;

/// <summary>gateway.md 1: of the caller's headers only a list passes, and what the route adds to it.</summary>
public sealed class RequestHeaderTests(RawGatewayFixture<RequestHeaderTests> fixture) : IClassFixture<RawGatewayFixture<RequestHeaderTests>>
{
    private static readonly string[] Passing =
    [
        "accept", "accept-language", "content-type", "content-language", "content-digest", "if-match", "if-none-match", "if-modified-since",
        "if-range", "range", "user-agent", "cache-control",
        "idempotency-key", "prefer", "origin", "referer", "last-event-id", "x-request-id", "mcp-session-id",
        "mcp-protocol-version", "x-tenant",
    ];

    /// <summary>How other systems say who somebody is, as far as anybody can list them.</summary>
    private static readonly string[] OthersIdentity =
    [
        "user", "userid", "user-id", "user_id", "username", "uid", "email", "from", "subject", "sub", "account-id", "tenant-id", "x-uid", "x-userid",
        "x-username", "x-email", "x-mail", "x-account", "x-account-id",
        "x-tenant-id", "x-org-id", "x-organization-id", "x-role", "x-roles", "x-group", "x-groups", "x-scope", "x-scopes", "x-permissions",
        "x-admin", "x-is-admin", "x-sub", "x-subject", "x-principal",
        "x-auth-user", "x-auth-email", "x-auth-token", "x-auth-username", "x-authentik-username", "x-authentik-email", "x-authentik-groups",
        "x-goog-authenticated-user-email", "x-goog-authenticated-user-id", "x-goog-iap-jwt-assertion",
        "x-amzn-oidc-data", "x-amzn-oidc-identity", "x-amzn-oidc-accesstoken", "x-consumer-id", "x-consumer-username", "x-consumer-custom-id",
        "x-credential-identifier", "x-anonymous-consumer",
        "x-jwt-assertion", "x-jwt-payload", "x-jwt-claim-sub", "x-id-token", "x-access-token", "x-api-key", "api-key", "apikey", "x-token", "token",
        "x-session-id", "x-session-token", "x-csrf-token",
        "cf-access-authenticated-user-email", "cf-access-jwt-assertion", "x-endpoint-api-userinfo", "x-apigateway-api-userinfo", "x-webauth-user",
        "x-proxy-user", "x-ssl-client-dn", "x-ssl-client-cert", "x-client-cert",
        "ssl-client-s-dn", "x-client-dn", "x-forwarded-client-cert", "x-pomerium-jwt-assertion", "x-pomerium-claim-email", "x-vouch-user",
        "x-grafana-user", "x-hasura-role", "x-hasura-user-id", "x-hasura-admin-secret",
        "x-ms-client-principal-name", "x-ms-invocation-id", "x-ms-original-url", "tailscale-user-login", "oidc-claim-email", "oidc_claim_sub",
        "x-impersonate-user", "impersonate-user", "x-on-behalf-of", "x-act-as", "x-sudo", "sudo",
        "tracestate", "baggage", "b3", "x-b3-traceid", "x-b3-sampled", // without a traceparent, and of another trace than ours
        "content_type", "accept_language", "x_tenant", "if.match",
    ];

    [Fact]
    public async Task Listed_headers_and_the_routes_own_pass_and_no_other_does()
    {
        var user = await fixture.Users.AddAsync();
        var head = "";
        fixture.Upstream.Behaviour = async exchange =>
        {
            head = exchange.Head;
            await exchange.SendAsync("HTTP/1.1 204 None\r\n\r\n");
            return true;
        };
        using var connection = new RawConnection(fixture.App.Http);

        foreach (var some in OthersIdentity.Chunk(50)) // the server takes 100 headers
        {
            head = "";
            var answer = await connection.CallAsync(
                "GET", "/gpt/open", user.Token, "", [.. Passing.Select(name => $"{name}: passes"), .. some.Select(name => $"{name}: forged")]);

            Assert.True(answer.Status == 204, answer.Text);
            Assert.DoesNotContain("forged", head, StringComparison.Ordinal);
        }

        // Without content nothing is said about it.
        Assert.All(Passing.Except(["content-type", "content-language"]), name => Assert.Equal("passes", RawHttp.Header(head, name)));
        await connection.CallAsync("GET", "/gpt/capped", user.Token, "", "X-Tenant: 1", "Accept-Encoding: gzip");
        Assert.Equal((null, "identity"), (RawHttp.Header(head, "x-tenant"), RawHttp.Header(head, "accept-encoding"))); // another route
    }

    /// <summary>RFC 9110 7.6.1: what Connection names is for this connection, also beside options that the server knows itself.</summary>
    [Theory]
    [InlineData("Connection: close, x-hop")]
    [InlineData("Connection: x-hop, close")]
    [InlineData("Connection: keep-alive, x-hop")]
    [InlineData("Connection: x-hop,x-tenant")]
    [InlineData("Connection: x-hop|Connection: close")]
    [InlineData("Connection: upgrade, x-hop, close|Upgrade: websocket")]
    internal async Task Header_named_in_connection_stays_behind(string lines)
    {
        var user = await fixture.Users.AddAsync();
        var head = "";
        fixture.Upstream.Behaviour = async exchange =>
        {
            head = exchange.Head;
            await exchange.SendAsync("HTTP/1.1 204 None\r\n\r\n");
            return true;
        };
        using var connection = new RawConnection(fixture.App.Http);

        var answer = await connection.CallAsync("GET", "/gpt/open", user.Token, "", [.. lines.Split('|'), "X-Hop: forged", "X-Hop-2: forged", "X-Tenant: 1"]);

        Assert.Equal(204, answer.Status);
        Assert.DoesNotContain("forged", head, StringComparison.Ordinal);
        // Also what the route lets pass; but the server hides such names beside close and keep-alive.
        Assert.Equal(lines.Contains("x-tenant", StringComparison.Ordinal) ? null : "1", RawHttp.Header(head, "X-Tenant"));
    }

    [Theory]
    [InlineData("X-Tenant", true)]
    [InlineData("openai-conversation-id", true)]
    [InlineData("x-api-key", true)]
    [InlineData("Authorization", false)]
    [InlineData("cookie", false)]
    [InlineData("Connection", false)]
    [InlineData("TE", false)]
    [InlineData("Upgrade", false)]
    [InlineData("Transfer-Encoding", false)]
    [InlineData("Content-Length", false)]
    [InlineData("Host", false)]
    [InlineData("Forwarded", false)]
    [InlineData("X-Forwarded-For", false)]
    [InlineData("X-Real-IP", false)]
    [InlineData("X-Original-URL", false)]
    [InlineData("X-HTTP-Method-Override", false)]
    [InlineData("x-internal-id", false)]
    [InlineData("X-Clerk-User-Id", false)]
    [InlineData("x-gpt-plan", false)]
    [InlineData("x-user-role", false)]
    [InlineData("x-ms-invocation-id", false)]
    [InlineData("traceparent", false)]
    [InlineData("x_tenant", false)]
    [InlineData("x tenant", false)]
    [InlineData("x-ten\u00e4nt", false)]
    [InlineData("", false)]
    public void MayPass_refuses_what_no_route_may_let_pass(string name, bool expected) => Assert.Equal(expected, HeaderRules.MayPass(name));

    /// <summary>Even where a route would say so: the check at the start is not the only one.</summary>
    [Fact]
    internal void OfRequest_knows_identity_whatever_a_route_says() =>
        Assert.Equal(HeaderRule.Identity, HeaderRules.OfRequest("x-internal-id", FrozenSet.Create(StringComparer.OrdinalIgnoreCase, ["x-internal-id"])));
}
