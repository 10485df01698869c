using System.Net;
using System.Net.Http.Headers;
using System.Text;
using GptFunctions.OAuth;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.OAuth;

/// <summary>oauth.md 9: how a client proves who it is. "Authenticated" shows as invalid_grant: the client was believed, the refresh token was not.</summary>
public sealed class ClientAuthenticationTests(AppFixture<ClientAuthenticationTests> fixture) : IClassFixture<AppFixture<ClientAuthenticationTests>>
{
    private static readonly string[] PostOnly = [AuthMethods.Post];
    private static readonly string[] BasicOnly = [AuthMethods.Basic];
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    [Fact]
    public async Task Secret_in_the_body_or_in_the_header_authenticates()
    {
        var client = await OAuthFlow.AddClientAsync(app);

        Assert.Equal("invalid_grant", (await PostAsync(null, ("client_id", client.Id), ("client_secret", client.Secret))).Error);
        Assert.Equal("invalid_grant", (await PostAsync(OAuthFlow.Basic(client.Id, client.Secret))).Error);
        // RFC 6749 3.2.1 allows the id
        Assert.Equal("invalid_grant", (await PostAsync(OAuthFlow.Basic(client.Id, client.Secret), ("client_id", client.Id))).Error);
        Assert.Equal("invalid_grant", (await PostAsync(new("bAsIc", OAuthFlow.Basic(client.Id, client.Secret).Parameter))).Error); // RFC 9110 11.1
    }

    [Fact]
    public async Task Public_client_authenticates_with_its_id_alone()
    {
        var client = await OAuthFlow.AddClientAsync(app, isPublic: true);

        Assert.Equal("invalid_grant", (await PostAsync(null, ("client_id", client.Id))).Error);
    }

    /// <summary>RFC 6749 2.3.1: both parts are form-encoded before they are joined by a colon.</summary>
    [Theory]
    [InlineData("plain", "plain", true)]
    [InlineData("with%3Acolon", "with%3Acolon", true)]
    [InlineData("with%3acolon", "with%3acolon", true)] // hexadecimal digits in either case
    [InlineData("with%3Acolon", "with:colon", true)] // only the first colon separates
    [InlineData("sp+ace", "sp+ace", true)]
    [InlineData("sp%20ace", "sp%20ace", true)]
    [InlineData("pl%2Bus", "pl%2Bus", true)]
    [InlineData("per%25cent", "per%25cent", true)]
    [InlineData("%C3%BCml%C3%A4ut", "%C3%BCml%C3%A4ut", true)]
    [InlineData("\u00fcml\u00e4ut", "\u00fcml\u00e4ut", true)]
    [InlineData("pl%2Bus", "pl+us", false)] // a plus means a space
    [InlineData("per%25cent", "per%cent", false)]
    [InlineData("per%cent", "per%25cent", false)]
    [InlineData("%C3%BCml%C3%A4ut", "%FCml%E4ut", false)] // Latin-1 is not UTF-8
    [InlineData("nul%00", "nul%00", false)]
    [InlineData("", "secret", false)]
    public async Task Basic_credentials_are_form_decoded_strictly(string encodedId, string encodedSecret, bool isAuthenticated)
    {
        foreach (var name in (string[])["plain", "with:colon", "sp ace", "pl+us", "per%cent", "\u00fcml\u00e4ut"])
        {
            await AddAsync(name, name);
        }

        var answer = await PostAsync(new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{encodedId}:{encodedSecret}"))));

        Assert.Equal(
            isAuthenticated ? (HttpStatusCode.BadRequest, "invalid_grant") : (HttpStatusCode.Unauthorized, "invalid_client"), (answer.Status, answer.Error));
    }

    [Theory]
    [InlineData("Basic")]
    [InlineData("Basic !!!")]
    [InlineData("Basic bm9jb2xvbg==")] // "nocolon"
    [InlineData("Basic OnNlY3JldA==")] // ":secret"
    [InlineData("Bearer abc")]
    [InlineData("Digest username=x")]
    public async Task Authorization_header_of_another_form_is_invalid_client(string header)
    {
        var answer = await SendAsync(header, "grant_type=refresh_token&refresh_token=x");

        Assert.Equal((HttpStatusCode.Unauthorized, "invalid_client"), (answer.Status, answer.Error));
        Assert.StartsWith("Basic ", answer.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
    }

    /// <summary>oauth.md 9: two at once.</summary>
    [Fact]
    public async Task Two_methods_at_once_are_invalid_request()
    {
        var client = await OAuthFlow.AddClientAsync(app);

        var twice = await PostAsync(OAuthFlow.Basic(client.Id, client.Secret), ("client_id", client.Id), ("client_secret", client.Secret));
        Assert.Equal((HttpStatusCode.BadRequest, "invalid_request"), (twice.Status, twice.Error));
        var contradicting = await PostAsync(OAuthFlow.Basic(client.Id, client.Secret), ("client_id", "other"));
        Assert.Equal((HttpStatusCode.BadRequest, "invalid_request"), (contradicting.Status, contradicting.Error));
    }

    /// <summary>oauth.md 9: the registered method is enforced, and who shows the right secret is told.</summary>
    [Fact]
    public async Task Method_that_is_not_registered_is_refused_and_the_error_says_so()
    {
        var post = await OAuthFlow.AddClientAsync(app, methods: PostOnly);
        var basic = await OAuthFlow.AddClientAsync(app, methods: BasicOnly);
        var open = await OAuthFlow.AddClientAsync(app, isPublic: true);

        foreach (var (answer, registered, used) in new[]
        {
            (await PostAsync(OAuthFlow.Basic(post.Id, post.Secret)), AuthMethods.Post, AuthMethods.Basic),
            (await PostAsync(null, ("client_id", basic.Id), ("client_secret", basic.Secret)), AuthMethods.Basic, AuthMethods.Post),
            (await PostAsync(null, ("client_id", post.Id)), AuthMethods.Post, AuthMethods.None),
            (await PostAsync(null, ("client_id", open.Id), ("client_secret", "made-up")), AuthMethods.None, AuthMethods.Post),
        })
        {
            Assert.Equal((HttpStatusCode.Unauthorized, "invalid_client"), (answer.Status, answer.Error));
            Assert.Contains($"registered for {registered}", answer["error_description"], StringComparison.Ordinal);
            Assert.Contains($"used {used}", answer["error_description"], StringComparison.Ordinal);
        }

        Assert.Equal("invalid_grant", (await PostAsync(null, ("client_id", post.Id), ("client_secret", post.Secret))).Error);
        Assert.Equal("invalid_grant", (await PostAsync(OAuthFlow.Basic(basic.Id, basic.Secret))).Error);
    }

    [Fact]
    public async Task Method_that_is_not_registered_is_not_named_to_somebody_with_a_wrong_secret()
    {
        var post = await OAuthFlow.AddClientAsync(app, methods: PostOnly);

        var answer = await PostAsync(OAuthFlow.Basic(post.Id, "wrong"));

        Assert.Equal("invalid_client", answer.Error);
        Assert.DoesNotContain("registered", answer["error_description"], StringComparison.Ordinal);
    }

    /// <summary>RFC 6749 5.2: the header answers the header.</summary>
    [Fact]
    public async Task Failed_authentication_names_the_scheme_only_when_the_header_was_used()
    {
        var client = await OAuthFlow.AddClientAsync(app);

        var basic = await PostAsync(OAuthFlow.Basic(client.Id, "wrong"));
        var post = await PostAsync(null, ("client_id", client.Id), ("client_secret", "wrong"));
        var none = await PostAsync(null);

        Assert.All((JsonAnswer[])[basic, post, none], answer => Assert.Equal((HttpStatusCode.Unauthorized, "invalid_client"), (answer.Status, answer.Error)));
        Assert.Equal("Basic", Assert.Single(basic.Headers.WwwAuthenticate).Scheme);
        Assert.Empty(post.Headers.WwwAuthenticate);
        Assert.Empty(none.Headers.WwwAuthenticate);
    }

    /// <summary>oauth.md 9: in body, status and headers; <see cref="StatementCountTests"/> shows that the same statements run.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Unknown_client_and_wrong_secret_and_disabled_client_cannot_be_told_apart(bool useHeader)
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var disabled = await OAuthFlow.AddClientAsync(app);
        await app.Get<ClientService>().UpdateAsync(disabled.Id, new ClientChange(IsDisabled: true));

        var answers = new List<string>();
        foreach (var (id, secret) in new[]
            {
                (client.Id, "wrong"), ("gpt_" + Guid.Empty.ToString("N"), "wrong"), (disabled.Id, "wrong"), (disabled.Id, disabled.Secret),
            })
        {
            var answer = useHeader ? await PostAsync(OAuthFlow.Basic(id, secret)) : await PostAsync(null, ("client_id", id), ("client_secret", secret));
            var headers = answer.Headers.Where(header => header.Key is not ("Date" or "x-correlation-id"))
                .Select(header => $"{header.Key}: {string.Join(',', header.Value)}").Order(StringComparer.Ordinal);
            answers.Add($"{answer.Status}\n{string.Join('\n', headers)}\n{answer.Text}");
        }

        Assert.Single(answers.Distinct());
        Assert.Contains("invalid_client", answers[0], StringComparison.Ordinal);
    }

    /// <summary>oauth.md 9: two secrets per client, so that one can be rotated without an outage.</summary>
    [Fact]
    public async Task Two_secrets_are_active_until_the_old_one_is_retired()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var (second, _) = await app.Get<ClientService>().RotateSecretAsync(client.Id);

        Assert.Equal("invalid_grant", (await PostAsync(OAuthFlow.Basic(client.Id, client.Secret))).Error);
        Assert.Equal("invalid_grant", (await PostAsync(OAuthFlow.Basic(client.Id, second))).Error);
        Assert.NotNull((await app.Get<ClientService>().RotateSecretAsync(client.Id)).Problem); // a third is refused

        Assert.Null(await app.Get<ClientService>().RetireOldSecretAsync(client.Id));
        Assert.Equal("invalid_client", (await PostAsync(OAuthFlow.Basic(client.Id, client.Secret))).Error);
        Assert.Equal("invalid_grant", (await PostAsync(OAuthFlow.Basic(client.Id, second))).Error);
    }

    [Fact]
    public async Task Disabled_client_gets_no_tokens_until_it_is_enabled_again()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_disabled");
        var service = app.Get<ClientService>();

        await service.UpdateAsync(client.Id, new ClientChange(IsDisabled: true));
        Assert.Equal("invalid_client", (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Error);
        Assert.Equal("invalid_client", (await flow.IntrospectAsync(client, tokens["access_token"]!)).Error);
        Assert.Equal("invalid_client", (await flow.RevokeAsync(client, tokens["access_token"]!)).Error);

        await service.UpdateAsync(client.Id, new ClientChange(IsDisabled: false));
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Status);
    }

    // Straight into the table: 'clients add' takes plainer ids only.
    private async Task AddAsync(string id, string secret) => await app.Database.ScalarAsync<int>("""
        INSERT INTO gpt_clients (client_id, name, kind, auth_methods, secret_hashes, redirect_uris, scopes, require_pkce, created_at)
        VALUES ($1, 'Special', 'confidential', '{client_secret_basic}', ARRAY[sha256(convert_to($2, 'UTF8'))],
                '{https://client.example/callback}', '{jobs:read}', false, now())
        ON CONFLICT DO NOTHING
        """, id, secret);

    private Task<JsonAnswer> PostAsync(AuthenticationHeaderValue? authorization, params (string Name, string? Value)[] parameters) =>
        flow.PostFormAsync("/oauth/token", authorization, [("grant_type", "refresh_token"), ("refresh_token", "no-such-token"), .. parameters]);

    private async Task<JsonAnswer> SendAsync(string authorization, string form)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/oauth/token", UriKind.Relative));
        request.Headers.TryAddWithoutValidation("Authorization", authorization);
        request.Content = new StringContent(form, Encoding.ASCII, "application/x-www-form-urlencoded");
        return await flow.SendAsync(request);
    }
}
