using System.Net;
using System.Text.Json;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

/// <summary>oauth.md 19: the documents of RFC 8414, RFC 9728 and RFC 7517; CORS, HEAD and OPTIONS.</summary>
public sealed class MetadataTests(AppFixture<MetadataTests> fixture) : IClassFixture<AppFixture<MetadataTests>>
{
    private const string Server = "/.well-known/oauth-authorization-server";
    private const string Resource = "/.well-known/oauth-protected-resource";
    private const string Jwks = "/.well-known/jwks.json";
    private readonly TestApp app = fixture.App;

    public static TheoryData<string> Documents { get; } = new(Server, Resource, Jwks);

    /// <summary>RFC 8414 2. A new member is a new promise: it gets a test of its own, so the whole list stands here.</summary>
    [Fact]
    public async Task Authorization_server_metadata_advertises_what_works()
    {
        var metadata = await ReadAsync(Server);

        Assert.Equal(app.BaseUrl, metadata.GetProperty("issuer").GetString());
        Assert.Equal(app.BaseUrl + "/oauth/authorize", metadata.GetProperty("authorization_endpoint").GetString());
        Assert.Equal(app.BaseUrl + "/oauth/token", metadata.GetProperty("token_endpoint").GetString());
        Assert.Equal(app.BaseUrl + "/oauth/revoke", metadata.GetProperty("revocation_endpoint").GetString());
        Assert.Equal(app.BaseUrl + "/oauth/introspect", metadata.GetProperty("introspection_endpoint").GetString());
        Assert.Equal(app.BaseUrl + "/oauth/register", metadata.GetProperty("registration_endpoint").GetString());
        Assert.Equal(app.BaseUrl + Jwks, metadata.GetProperty("jwks_uri").GetString());
        Assert.Equal(["jobs:read", "applications:read", "applications:write", "resume:read", "offline_access"], Texts(metadata, "scopes_supported"));
        Assert.Equal(["code"], Texts(metadata, "response_types_supported"));
        Assert.Equal(["query"], Texts(metadata, "response_modes_supported"));
        Assert.Equal(["authorization_code", "refresh_token"], Texts(metadata, "grant_types_supported"));
        Assert.Equal(["S256"], Texts(metadata, "code_challenge_methods_supported"));
        Assert.Equal(["client_secret_basic", "client_secret_post", "none", "private_key_jwt"], Texts(metadata, "token_endpoint_auth_methods_supported"));
        Assert.Equal(["client_secret_basic", "client_secret_post", "none", "private_key_jwt"], Texts(metadata, "revocation_endpoint_auth_methods_supported"));
        Assert.Equal(["client_secret_basic", "client_secret_post", "private_key_jwt"], Texts(metadata, "introspection_endpoint_auth_methods_supported"));
        Assert.True(metadata.GetProperty("authorization_response_iss_parameter_supported").GetBoolean());
        Assert.Equal(["ES256", "RS256", "PS256"], Texts(metadata, "token_endpoint_auth_signing_alg_values_supported"));
        Assert.Equal(["ES256", "RS256", "PS256"], Texts(metadata, "revocation_endpoint_auth_signing_alg_values_supported"));
        Assert.Equal(["ES256", "RS256", "PS256"], Texts(metadata, "introspection_endpoint_auth_signing_alg_values_supported"));
        Assert.True(metadata.GetProperty("client_id_metadata_document_supported").GetBoolean());
        Assert.Equal(20, metadata.EnumerateObject().Count());
    }

    /// <summary>Every endpoint that is advertised answers something other than 404.</summary>
    [Fact]
    public async Task Authorization_server_metadata_names_endpoints_that_exist()
    {
        foreach (var member in (await ReadAsync(Server)).EnumerateObject()
            .Where(member => member.Name.EndsWith("_endpoint", StringComparison.Ordinal) || member.Name == "jwks_uri"))
        {
            using var get = await app.Http.GetAsync(new Uri(member.Value.GetString()!));
            Assert.NotEqual(HttpStatusCode.NotFound, get.StatusCode);
        }
    }

    /// <summary>RFC 9728 2.</summary>
    [Fact]
    public async Task Protected_resource_metadata_names_the_gateway_and_its_authorization_server()
    {
        var metadata = await ReadAsync(Resource);

        Assert.Equal(app.BaseUrl + "/gpt", metadata.GetProperty("resource").GetString());
        Assert.Equal([app.BaseUrl], Texts(metadata, "authorization_servers"));
        Assert.Equal(["header"], Texts(metadata, "bearer_methods_supported"));
        Assert.Equal(["jobs:read", "applications:read", "applications:write", "resume:read"], Texts(metadata, "scopes_supported"));
        Assert.Equal(app.BaseUrl + Jwks, metadata.GetProperty("jwks_uri").GetString());
    }

    /// <summary>RFC 8414 3.1 and RFC 9728 3.1: clients put the path of the issuer or the resource behind the well-known part.</summary>
    [Theory]
    [InlineData(Server + "/gpt", Server)]
    [InlineData(Server + "/some/path", Server)]
    [InlineData(Resource + "/gpt", Resource)]
    [InlineData(Resource + "/", Resource)]
    public async Task Path_inserted_form_is_the_same_document(string path, string document)
    {
        Assert.Equal((await ReadAsync(document)).GetRawText(), (await ReadAsync(path)).GetRawText());
    }

    [Fact]
    public async Task Jwks_has_the_public_half_of_the_key_that_signs()
    {
        var key = Assert.Single((await ReadAsync(Jwks)).GetProperty("keys").EnumerateArray());
        var flow = new OAuthFlow(app.Http);
        var tokens = await flow.TokensAsync(await OAuthFlow.AddClientAsync(app), "user_jwks");

        Assert.Equal(["alg", "crv", "kid", "kty", "use", "x", "y"], key.EnumerateObject().Select(member => member.Name).Order(StringComparer.Ordinal));
        Assert.Equal(AccessTokenText.Header(tokens["access_token"]!).GetProperty("kid").GetString(), key.GetProperty("kid").GetString());
    }

    [Theory]
    [MemberData(nameof(Documents))]
    public async Task Document_may_be_cached_for_five_minutes_and_is_304_while_unchanged(string path)
    {
        using var first = await app.Http.GetAsync(new Uri(path, UriKind.Relative));
        var tag = first.Headers.ETag!.Tag;

        foreach (var (condition, expected) in ((string, HttpStatusCode)[])[
            (tag, HttpStatusCode.NotModified), ("W/" + tag, HttpStatusCode.NotModified),
            ($"\"other\", {tag}", HttpStatusCode.NotModified), ("*", HttpStatusCode.NotModified), ("\"other\"", HttpStatusCode.OK)])
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(path, UriKind.Relative));
            request.Headers.TryAddWithoutValidation("If-None-Match", condition);
            using var response = await app.Http.SendAsync(request);
            Assert.Equal(expected, response.StatusCode);
            Assert.Equal(tag, response.Headers.ETag!.Tag);
            Assert.Equal("public, max-age=300", response.Headers.CacheControl!.ToString());
            Assert.Equal(expected == HttpStatusCode.OK, (await response.Content.ReadAsByteArrayAsync()).Length > 0);
        }

        Assert.Equal("application/json", first.Content.Headers.ContentType!.MediaType);
    }

    [Theory]
    [MemberData(nameof(Documents))]
    public async Task Head_of_a_document_has_the_headers_of_get_and_no_body(string path)
    {
        using var get = await app.Http.GetAsync(new Uri(path, UriKind.Relative));
        using var request = new HttpRequestMessage(HttpMethod.Head, new Uri(path, UriKind.Relative));
        using var head = await app.Http.SendAsync(request);

        Assert.Equal(HttpStatusCode.OK, head.StatusCode);
        Assert.Equal(get.Content.Headers.ContentLength, head.Content.Headers.ContentLength);
        Assert.Equal(get.Headers.ETag, head.Headers.ETag);
        Assert.Empty(await head.Content.ReadAsByteArrayAsync());
    }

    /// <summary>oauth.md 19: what a script of any origin may read.</summary>
    [Theory]
    [InlineData("GET", Server)]
    [InlineData("GET", Resource)]
    [InlineData("GET", Jwks)]
    [InlineData("POST", "/oauth/token")]
    public async Task Answer_that_scripts_may_read_allows_every_origin(string method, string path)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(path, UriKind.Relative))
        {
            Headers = { { "Origin", "https://inspector.example" } },
        };
        using var response = await app.Http.SendAsync(request);
        using var preflight = new HttpRequestMessage(HttpMethod.Options, new Uri(path, UriKind.Relative))
        {
            Headers =
            {
                { "Origin", "https://inspector.example" },
                { "Access-Control-Request-Method", method },
                { "Access-Control-Request-Headers", "content-type" },
            },
        };
        using var allowed = await app.Http.SendAsync(preflight);

        Assert.Equal("*", Header(response, "Access-Control-Allow-Origin"));
        Assert.Null(Header(response, "Access-Control-Allow-Credentials"));
        Assert.Equal(HttpStatusCode.NoContent, allowed.StatusCode);
        Assert.Equal("*", Header(allowed, "Access-Control-Allow-Origin"));
        Assert.Contains(method, Header(allowed, "Access-Control-Allow-Methods"), StringComparison.Ordinal);
        Assert.Contains("Content-Type", Header(allowed, "Access-Control-Allow-Headers"), StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>Where a browser's cookie counts, no script of another origin reads anything.</summary>
    [Theory]
    [InlineData("GET", "/oauth/authorize?client_id=first-client")]
    [InlineData("OPTIONS", "/oauth/authorize")]
    [InlineData("POST", "/oauth/authorize/decision")]
    [InlineData("OPTIONS", "/oauth/authorize/decision")]
    [InlineData("GET", "/oauth/callback")]
    [InlineData("GET", "/dev/sign-in")]
    [InlineData("OPTIONS", "/dev/sign-in")]
    public async Task Page_never_allows_another_origin(string method, string path)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(path, UriKind.Relative))
        {
            Headers = { { "Origin", "https://evil.example" } },
        };
        using var response = await app.Http.SendAsync(request);

        Assert.DoesNotContain(response.Headers, header => header.Key.StartsWith("Access-Control-", StringComparison.OrdinalIgnoreCase));
    }

    [Theory]
    [InlineData("HEAD", "/oauth/token")]
    [InlineData("GET", "/oauth/token")]
    public async Task Token_endpoint_by_another_method_is_405_with_allow(string method, string path)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(path, UriKind.Relative));
        using var response = await app.Http.SendAsync(request);

        Assert.Equal(HttpStatusCode.MethodNotAllowed, response.StatusCode);
        Assert.Contains("POST", response.Content.Headers.Allow);
    }

    private static string[] Texts(JsonElement parent, string name) => [.. parent.GetProperty(name).EnumerateArray().Select(item => item.GetString()!)];

    private static string? Header(HttpResponseMessage response, string name) =>
        response.Headers.TryGetValues(name, out var values) ? string.Join(", ", values) : null;

    private async Task<JsonElement> ReadAsync(string path) => JsonElement.Parse(await app.Http.GetStringAsync(new Uri(path, UriKind.Relative)));
}
