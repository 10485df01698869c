using System.Net;
using System.Text.Json.Nodes;
using GptFunctions.Audit;
using GptFunctions.OAuth;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

public sealed class ClientDocumentFixture : AppFixture<ClientDocumentTests>
{
    protected override IEnumerable<KeyValuePair<string, string?>> Settings => [new("GPT_CLIENT_METADATA_LOOPBACK", "true")];
}

/// <summary>oauth.md 44 and 46: clients whose id is the URL of what they say of themselves (draft-ietf-oauth-client-id-metadata-document).</summary>
public sealed class ClientDocumentTests(ClientDocumentFixture fixture) : IClassFixture<ClientDocumentFixture>, IAsyncLifetime
{
    private const string Callback = "https://maker.example/cb";
    private static readonly (string, string?)[] Pkce = [("code_challenge", OAuthFlow.Challenge), ("code_challenge_method", "S256")];
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;
    private DocumentHost host = null!;

    private string Url => host.Url + "/client.json";

    public async Task InitializeAsync() => host = await DocumentHost.StartAsync();

    public async Task DisposeAsync() => await host.DisposeAsync();

    [Fact]
    public async Task Client_of_a_document_signs_a_person_in_refreshes_and_is_a_row()
    {
        Publish(Document());
        var client = new TestClient(Url, null, Callback);

        var tokens = await flow.TokensAsync(client, "user_document");
        var refreshed = await flow.RefreshAsync(client, tokens["refresh_token"]!);
        await flow.TokensAsync(client, "user_document");

        Assert.Equal((HttpStatusCode.OK, 1), (refreshed.Status, host.Asked("/client.json")));
        Assert.Equal(
            "metadata_document Maker none https://maker.example/cb",
            await app.Database.ScalarAsync<string>(
                $"SELECT concat_ws(' ', kind, name, auth_methods[1], redirect_uris[1]) FROM gpt_clients WHERE client_id = '{Url}'"));
        Assert.Single(await app.Database.EventsAsync(AuditEvents.ClientRegistered, "client_id", Url));
    }

    /// <summary>Whoever only asks leaves nothing: the row comes with the request of somebody who signed in.</summary>
    [Fact]
    public async Task Request_that_nobody_signs_in_for_leaves_no_row()
    {
        Publish(Document());
        using var response = await flow.AuthorizeAsync(OAuthFlow.Parameters(new TestClient(Url, null, Callback), Pkce));

        Assert.Equal(HttpStatusCode.Redirect, response.StatusCode);
        Assert.Equal(0, await app.Database.CountAsync("gpt_clients", $"client_id = '{Url}'"));
    }

    /// <summary>The sign-in may end at another replica, and the code be exchanged at a third, while the site is away.</summary>
    [Fact]
    public async Task Replicas_share_the_client_by_its_row()
    {
        Publish(Document());
        await using var second = await app.StartReplicaAsync();
        await using var third = await app.StartReplicaAsync();
        var client = new TestClient(Url, null, Callback);
        var browser = new TestBrowser(app.Http);
        using var page = await browser.SignInAsync("user_replicas", OAuthFlow.Parameters(client, Pkce));
        host.Fail(503);

        using var approved = await browser.At(second.Http).SubmitAsync(page, ("decision", "approve"));
        var tokens = await new OAuthFlow(third.Http).ExchangeAsync(
            client, OAuthFlow.Parameter(approved.Headers.Location!, "code")!, ("code_verifier", OAuthFlow.Verifier));

        Assert.True(tokens.Status == HttpStatusCode.OK, tokens.Text);
        Assert.Equal(HttpStatusCode.OK, (await new OAuthFlow(second.Http).RefreshAsync(client, tokens["refresh_token"]!)).Status);
        Assert.Equal(1, host.Asked("/client.json"));
    }

    [Fact]
    public async Task People_are_asked_at_every_sign_in_with_the_host_of_the_url_until_an_operator_approves()
    {
        Publish(Document());
        var client = new TestClient(Url, null, Callback);
        await flow.TokensAsync(client, "user_asked");
        using var again = await new TestBrowser(app.Http).SignInAsync("user_asked", OAuthFlow.Parameters(client, Pkce));
        var html = await again.Content.ReadAsStringAsync();
        var authority = new Uri(Url).Authority;

        Assert.Contains("Nobody here has checked this app.", html, StringComparison.Ordinal);
        Assert.Contains($"<dd><bdi>{authority}</bdi></dd>", html, StringComparison.Ordinal);
        Assert.Null(await app.Get<ClientService>().UpdateAsync(Url, new ClientChange(IsApproved: true)));
        using var afterwards = await new TestBrowser(app.Http).SignInAsync("user_asked", OAuthFlow.Parameters(client, Pkce));
        Assert.NotNull(OAuthFlow.Parameter(afterwards.Headers.Location!, "code"));

        // A document that is read again changes nothing about that.
        await ExpireAsync();
        using var later = await new TestBrowser(app.Http).SignInAsync("user_asked", OAuthFlow.Parameters(client, Pkce));
        Assert.NotNull(OAuthFlow.Parameter(later.Headers.Location!, "code"));
        using var stranger = await new TestBrowser(app.Http).SignInAsync("user_first_time", OAuthFlow.Parameters(client, Pkce));
        var page = await stranger.Content.ReadAsStringAsync();
        Assert.DoesNotContain("has checked this app", page, StringComparison.Ordinal);
        Assert.Contains($"<dd><bdi>{authority}</bdi></dd>", page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_document_says_is_not_an_operators_to_change_and_its_scopes_are()
    {
        Publish(Document());
        var client = new TestClient(Url, null, Callback);
        await flow.TokensAsync(client, "user_ceiling");
        var clients = app.Get<ClientService>();

        Assert.Contains("described by its document", await clients.UpdateAsync(Url, new ClientChange(Name: "Mine")), StringComparison.Ordinal);
        Assert.Contains("described by its document", await clients.UpdateAsync(Url, new ClientChange(RedirectUris: [Callback])), StringComparison.Ordinal);
        Assert.Null(await clients.UpdateAsync(Url, new ClientChange(Scopes: ["jobs:read"])));
        await ExpireAsync();
        Assert.Equal("jobs:read", (await flow.TokensAsync(client, "user_ceiling"))["scope"]);
        Assert.Null(await clients.UpdateAsync(Url, new ClientChange(IsDisabled: true)));
        await ExpireAsync();
        using var disabled = await flow.AuthorizeAsync(OAuthFlow.Parameters(client, Pkce));
        Assert.Equal(HttpStatusCode.BadRequest, disabled.StatusCode);
    }

    public static TheoryData<string, Action<JsonObject>> Bad { get; } = new()
    {
        { "no id", document => document.Remove("client_id") },
        { "another id", document => document["client_id"] = "https://maker.example/other.json" },
        { "a slash more", document => document["client_id"] += "/" },
        { "a secret", document => document["client_secret"] = "s" },
        { "an end of a secret", document => document["client_secret_expires_at"] = 0 },
        { "no redirect URI", document => document.Remove("redirect_uris") },
        { "none that may be", document => document["redirect_uris"] = new JsonArray("http://maker.example/cb", "maker://cb", "javascript:alert(1)") },
        { "a secret's method", document => document["token_endpoint_auth_method"] = "client_secret_post" },
        { "a key's method without a key", document => document["token_endpoint_auth_method"] = "private_key_jwt" },
        { "another grant", document => document["grant_types"] = new JsonArray("client_credentials") },
        { "a number for a name", document => document["client_name"] = 7 },
    };

    [Theory]
    [MemberData(nameof(Bad))]
    public async Task Document_that_cannot_be_used_is_a_page_that_says_why_and_leaves_nothing(string what, Action<JsonObject> change)
    {
        ArgumentNullException.ThrowIfNull(change);
        var document = Document();
        change(document);
        Publish(document);

        using var response = await flow.AuthorizeAsync(OAuthFlow.Parameters(new TestClient(Url, null, Callback), Pkce));

        Assert.True(response.StatusCode == HttpStatusCode.BadRequest, what);
        Assert.Contains(new Uri(Url).Authority, await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(0, await app.Database.CountAsync("gpt_clients", $"client_id = '{Url}'"));
    }

    [Theory]
    [InlineData("[]", false)]
    [InlineData("not json", false)]
    [InlineData(null, false)] // 404
    [InlineData("503", true)]
    public async Task Document_that_is_not_there_is_a_page_that_says_whose_site_it_is(string? answer, bool isTransient)
    {
        if (isTransient)
        {
            host.Fail(503);
        }
        else
        {
            host.Publish(answer is null ? [] : [("/client.json", answer)]);
        }

        using var response = await flow.AuthorizeAsync(OAuthFlow.Parameters(new TestClient(Url, null, Callback), Pkce));

        Assert.Equal(isTransient ? HttpStatusCode.ServiceUnavailable : HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(isTransient, response.Headers.RetryAfter is not null);
        Assert.Equal("text/html", response.Content.Headers.ContentType!.MediaType);
        Assert.Contains(new Uri(Url).Authority, await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    /// <summary>Unknown members, grants and URIs are not what a document fails by.</summary>
    [Fact]
    public async Task Document_with_more_than_we_know_is_taken_as_far_as_it_goes()
    {
        var document = Document();
        document["redirect_uris"] = new JsonArray("maker://cb", "http://127.0.0.1/cb", Callback);
        document["grant_types"] = new JsonArray("authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code");
        document["scope"] = "openid profile";
        document["something"] = new JsonObject { ["else"] = 1 };
        document["client_name"] = " \u202eMaker ";
        Publish(document);

        var client = new TestClient(Url, null, "http://127.0.0.1:51234/cb");
        var tokens = await flow.TokensAsync(client, "user_more");

        Assert.Equal("jobs:read applications:read applications:write resume:read", tokens["scope"]);
        Assert.Equal(
            "Maker http://127.0.0.1/cb,https://maker.example/cb",
            await app.Database.ScalarAsync<string>($"SELECT name || ' ' || array_to_string(redirect_uris, ',') FROM gpt_clients WHERE client_id = '{Url}'"));
    }

    /// <summary>A client that was there works on for seven days, whatever its site does; what it says anew counts when it is read.</summary>
    [Fact]
    public async Task Document_that_was_read_counts_for_seven_days_and_changes_when_it_is_read_again()
    {
        await using var replica = await app.StartReplicaAsync();
        var there = new OAuthFlow(replica.Http);
        Publish(Document());
        var client = new TestClient(Url, null, Callback);
        await there.TokensAsync(client, "user_seven");

        host.Fail(410);
        replica.Clock.Advance(TimeSpan.FromDays(6.9));
        Assert.Equal(HttpStatusCode.OK, (await there.TokensAsync(client, "user_seven")).Status);
        replica.Clock.Advance(TimeSpan.FromDays(0.2));
        using var gone = await there.AuthorizeAsync(OAuthFlow.Parameters(client, Pkce));
        Assert.Equal(HttpStatusCode.BadRequest, gone.StatusCode);

        var moved = Document();
        moved["redirect_uris"] = new JsonArray("https://maker.example/moved");
        Publish(moved);
        replica.Clock.Advance(TimeSpan.FromSeconds(31));
        using var old = await there.AuthorizeAsync(OAuthFlow.Parameters(client, Pkce));
        Assert.Equal(HttpStatusCode.BadRequest, old.StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await there.TokensAsync(client with { RedirectUri = "https://maker.example/moved" }, "user_seven")).Status);
    }

    [Theory]
    [InlineData(null, "none", false, "none")]
    [InlineData("none", null, true, "none")]
    [InlineData("private_key_jwt", null, true, "private_key_jwt")]
    [InlineData("none", "none private_key_jwt", true, "private_key_jwt")] // or a thief would leave the key out
    [InlineData("private_key_jwt", "none private_key_jwt", false, "none")]
    [InlineData("private_key_jwt", "none", true, "none")]
    public async Task Method_is_what_the_document_names_and_the_key_where_it_has_one(string? method, string? supported, bool hasKeys, string expected)
    {
        using var key = new ClientKey();
        var document = Document();
        document["token_endpoint_auth_method"] = method;
        document["token_endpoint_auth_methods_supported"] = supported is null ? null : new JsonArray([.. supported.Split(' ').Select(name => (JsonNode)name)]);
        document["jwks"] = hasKeys ? ClientKey.Set(key) : null;
        foreach (var absent in document.Where(member => member.Value is null).Select(member => member.Key).ToList())
        {
            document.Remove(absent);
        }

        Publish(document);
        var client = new TestClient(Url, null, Callback);
        var code = await flow.CodeAsync(client, $"user_{Guid.NewGuid():N}", Pkce);
        var asNone = await flow.ExchangeAsync(client, code, ("code_verifier", OAuthFlow.Verifier));
        var signed = await flow.PostFormAsync("/oauth/token", null, [
            ("grant_type", "authorization_code"), ("code", code), ("redirect_uri", Callback), (
                "code_verifier", OAuthFlow.Verifier), .. key.Parameters(app, Url)]);

        Assert.Equal(expected, await app.Database.ScalarAsync<string>($"SELECT auth_methods[1] FROM gpt_clients WHERE client_id = '{Url}'"));
        Assert.Equal(expected == "none" ? HttpStatusCode.OK : HttpStatusCode.Unauthorized, asNone.Status);
        Assert.Equal(expected == "none" ? HttpStatusCode.Unauthorized : HttpStatusCode.OK, signed.Status);
    }

    /// <summary>Keys in the document, and keys that it names the place of.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Keys_that_a_document_changes_count_at_once_and_a_site_that_is_away_is_503(bool isInline)
    {
        await using var replica = await app.StartReplicaAsync();
        var there = new OAuthFlow(replica.Http);
        using var one = new ClientKey(keyId: "one");
        using var two = new ClientKey(keyId: "two");
        PublishKeys(one);
        var client = new TestClient(Url, null, Callback);
        var code = await there.CodeAsync(client, "user_keys", Pkce);

        var first = await there.PostFormAsync("/oauth/token", null, [
            ("grant_type", "authorization_code"), ("code", code), ("redirect_uri", Callback), (
                "code_verifier", OAuthFlow.Verifier), .. one.Parameters(replica, Url)]);
        PublishKeys(two);
        replica.Clock.Advance(TimeSpan.FromSeconds(31));
        var changed = await RefreshAsync(first, two);
        host.Fail(503);
        replica.Clock.Advance(TimeSpan.FromSeconds(31));
        using var three = new ClientKey(keyId: "three");
        var away = await RefreshAsync(changed, three);
        var stillGood = await RefreshAsync(changed, two);

        Assert.True(first.Status == HttpStatusCode.OK, first.Text);
        Assert.True(changed.Status == HttpStatusCode.OK, changed.Text);
        Assert.Contains(away.Status, (HttpStatusCode[])[HttpStatusCode.Unauthorized, HttpStatusCode.ServiceUnavailable]); // nobody knows that key
        Assert.True(stillGood.Status == HttpStatusCode.OK, stillGood.Text);

        void PublishKeys(ClientKey key)
        {
            var document = Document();
            document["token_endpoint_auth_method"] = "private_key_jwt";
            document[isInline ? "jwks" : "jwks_uri"] = isInline ? ClientKey.Set(key) : host.Url + "/keys";
            host.Publish(("/client.json", document.ToJsonString()), ("/keys", ClientKey.Set(key).ToJsonString()));
        }

        Task<JsonAnswer> RefreshAsync(JsonAnswer tokens, ClientKey key) => there.PostFormAsync(
            "/oauth/token", null, [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"]), .. key.Parameters(replica, Url)]);
    }

    [Theory]
    [InlineData("", false)]
    [InlineData("elsewhere.example", false)]
    [InlineData("elsewhere.example 127.0.0.1", true)]
    [InlineData("*", true)]
    public async Task Documents_count_of_the_hosts_that_are_listed(string hosts, bool counts)
    {
        ArgumentNullException.ThrowIfNull(hosts);
        await using var replica = await app.StartReplicaAsync(("GPT_CLIENT_METADATA_HOSTS", hosts));
        Publish(Document());

        using var response = await new OAuthFlow(replica.Http).AuthorizeAsync(OAuthFlow.Parameters(new TestClient(Url, null, Callback), Pkce));
        using var metadata = await replica.Http.GetAsync(new Uri("/.well-known/oauth-authorization-server", UriKind.Relative));

        Assert.Equal((counts ? HttpStatusCode.Redirect : HttpStatusCode.BadRequest, counts ? 1 : 0), (response.StatusCode, host.Asked("/client.json")));
        Assert.Contains(
            $"\"client_id_metadata_document_supported\":{(hosts.Length > 0 ? "true" : "false")}", await metadata.Content.ReadAsStringAsync(),
            StringComparison.Ordinal);
    }

    private JsonObject Document() => new()
    {
        ["client_id"] = Url,
        ["client_name"] = "Maker",
        ["client_uri"] = "https://maker.example",
        ["redirect_uris"] = new JsonArray(Callback),
        ["token_endpoint_auth_method"] = "none",
        ["grant_types"] = new JsonArray("authorization_code", "refresh_token"),
        ["response_types"] = new JsonArray("code"),
    };

    private void Publish(JsonObject document) => host.Publish(("/client.json", document.ToJsonString()));

    /// <summary>The row's document is not fresh any more.</summary>
    private Task ExpireAsync() => app.Database.ExecuteAsync($"UPDATE gpt_clients SET document_expires_at = now() WHERE client_id = '{Url}'");
}
