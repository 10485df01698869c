using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace GptFunctions.Tests.Support;

/// <summary>A host of infra/hosts.json, and what it does with an endpoint of which it knows only the URL.</summary>
internal sealed class KnownHost : IAsyncDisposable
{
    private readonly JsonObject says;
    private readonly string port = TestApp.FreePort().ToString(CultureInfo.InvariantCulture);
    private readonly ClientKey? key;
    private readonly DocumentHost? site;

    private KnownHost(JsonObject says, DocumentHost? site)
    {
        (this.says, this.site) = (says, site);
        key = says["signs"] is { } algorithm ? new ClientKey(algorithm.GetValue<string>()) : null;
    }

    public static JsonObject[] All { get; } =
    [
        .. JsonNode.Parse(File.ReadAllText(Path.Combine(TestServices.RepositoryRoot, "infra", "hosts.json")))!["hosts"]!.AsArray()
            .Select(host => host!.AsObject()),
    ];

    public string RedirectUri => Fill(says["redirectUri"]!.GetValue<string>());

    public static async Task<KnownHost> StartAsync(string name)
    {
        var known = All.Single(host => host["name"]!.GetValue<string>() == name);
        return new KnownHost(known, known["document"] is null ? null : await DocumentHost.StartAsync());
    }

    /// <summary>401, the endpoint's metadata, the server's (RFC 9728 5, RFC 8414 3); what the host looks at on its way.</summary>
    public static async Task<(string Resource, string Scopes, JsonElement Server)> DiscoverAsync(TestApp app, string path)
    {
        using var refused = await app.Http.PostAsync(new Uri(path, UriKind.Relative), new StringContent("{}", Encoding.UTF8, "application/json"));
        var challenge = refused.Headers.WwwAuthenticate.ToString();
        var metadata = JsonElement.Parse(await app.Http.GetStringAsync(new Uri(Part(challenge, "resource_metadata"))));
        var resource = metadata.GetProperty("resource").GetString()!;
        var issuer = metadata.GetProperty("authorization_servers")[0].GetString();
        var server = JsonElement.Parse(await app.Http.GetStringAsync(new Uri(issuer + "/.well-known/oauth-authorization-server")));
        Assert.Equal((HttpStatusCode.Unauthorized, app.BaseUrl + path), (refused.StatusCode, resource)); // hosts insist on it
        Assert.Equal((issuer, "S256"), (server.GetProperty("issuer").GetString(), server.GetProperty("code_challenge_methods_supported")[0].GetString()));
        return (resource, Part(challenge, "scope"), server);

        static string Part(string challenge, string name) => challenge.Split(name + "=\"")[1].Split('"')[0];
    }

    /// <summary>Its client id here: registered, or the URL of its document.</summary>
    public async Task<string> IdentifyAsync(TestApp app, JsonElement server)
    {
        if (says["document"] is JsonObject document)
        {
            Assert.True(server.GetProperty("client_id_metadata_document_supported").GetBoolean());
            var path = new Uri(Fill(says["documentUrl"]!.GetValue<string>())).AbsolutePath;
            var published = JsonNode.Parse(Fill(document.ToJsonString()))!.AsObject();
            published["client_id"] = site!.Url + path;
            if (key is not null)
            {
                published["jwks_uri"] = site.Url + "/oauth/jwks.json";
            }

            site.Publish((path, published.ToJsonString()), ("/oauth/jwks.json", key is null ? "{}" : ClientKey.Set(key).ToJsonString()));
            return site.Url + path;
        }

        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(server.GetProperty("registration_endpoint").GetString()!));
        var body = Fill(says["registration"]!.ToJsonString());
        request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        var registered = await new OAuthFlow(app.Http).SendAsync(request);
        Assert.True(registered.Status == HttpStatusCode.Created, registered.Text);
        Assert.Equal(JsonElement.Parse(body).GetProperty("redirect_uris").EnumerateArray().Select(uri => uri.GetString()),
            registered.Json.GetProperty("redirect_uris").EnumerateArray().Select(uri => uri.GetString()));
        return registered["client_id"]!;
    }

    /// <summary>What it sends to the authorization endpoint.</summary>
    public (string Name, string? Value)[] Authorize(string clientId, string resource, string scopes) => OAuthFlow.Parameters(
        new TestClient(clientId, null, RedirectUri), ("code_challenge", OAuthFlow.Challenge), ("code_challenge_method", "S256"), ("resource", resource),
        ("scope", says["asksForScopes"]!.GetValue<bool>() ? $"{scopes} {says["alsoAsksFor"]}".TrimEnd() : null));

    public Task<JsonAnswer> ExchangeAsync(TestApp app, string clientId, string code, string resource) => PostAsync(
        app, app.Http, clientId, ("grant_type", "authorization_code"), ("code", code), ("redirect_uri", RedirectUri), ("code_verifier", OAuthFlow.Verifier),
        ("resource", resource));

    /// <param name="from">Another machine of the host's.</param>
    public Task<JsonAnswer> RefreshAsync(TestApp app, string clientId, string? token, string resource, HttpClient? from = null) =>
        PostAsync(app, from ?? app.Http, clientId, ("grant_type", "refresh_token"), ("refresh_token", token), ("resource", resource));

    public async ValueTask DisposeAsync()
    {
        key?.Dispose();
        if (site is not null)
        {
            await site.DisposeAsync();
        }
    }

    private Task<JsonAnswer> PostAsync(TestApp app, HttpClient from, string clientId, params (string Name, string? Value)[] form) =>
        new OAuthFlow(from).PostFormAsync(
            "/oauth/token", null, key is null ? [.. form, ("client_id", clientId)] : [.. form, .. key.Parameters(app, clientId)]);

    private string Fill(string text) => text.Replace("{port}", port, StringComparison.Ordinal).Replace("{id}", "kDmjx77UnKOM", StringComparison.Ordinal);
}
