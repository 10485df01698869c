using GptFunctions.OAuth;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

/// <summary>oauth.md 37: what may be registered, and the sentence for what may not.</summary>
public sealed class ClientServiceTests(AppFixture<ClientServiceTests> fixture) : IClassFixture<AppFixture<ClientServiceTests>>
{
    private static readonly NewClient Good = new("Name", null, IsPublic: false, ["g-1"], [], [], [], NoPkce: true);
    private readonly ClientService clients = fixture.App.Get<ClientService>();

    private static readonly (NewClient Client, string Expected)[] RefusedClients =
    [
        (Good with { Name = " " }, "--name is empty."),
        (Good with { Id = "" }, "--id must be 1 to 512 printable ASCII characters without spaces."),
        (Good with { Id = "two words" }, "--id must be"),
        (Good with { Id = "ü" }, "--id must be"),
        (Good with { Id = new string('a', 513) }, "--id must be"),
        (Good with { GptIds = [] }, "A client needs a redirect URI: give --gpt g-ID or --redirect-uri URI."),
        (Good with { GptIds = ["gpt-1"] }, "'gpt-1' is not a GPT id"),
        (Good with { GptIds = ["g-1/../2"] }, "'g-1/../2' is not a GPT id"),
        (Good with { GptIds = ["g-"] }, "'g-' is not a GPT id"),
        (Good with { RedirectUris = ["http://example.com/"] }, "Redirect URI: 'http://example.com/' must use https"),
        (Good with { RedirectUris = ["https://ok.example/", "javascript:alert(1)"] }, "Redirect URI: 'javascript:alert(1)' must use https"),
        (Good with { RedirectUris = ["https://ok.example/?iss=https://evil.example"] },
            "Redirect URI: 'https://ok.example/?iss=https://evil.example' has the parameter iss"),
        (Good with { RedirectUris = ["https://ok.example/?a=b&%63ode=x"] }, "Redirect URI: 'https://ok.example/?a=b&%63ode=x' has the parameter code"),
        (Good with { RedirectUris = ["https://ok.example/?STATE"] }, "Redirect URI: 'https://ok.example/?STATE' has the parameter state"),
        (Good with { RedirectUris = ["com.example.app:/back?x;error=1"] }, "Redirect URI: 'com.example.app:/back?x;error=1' has the parameter error"),
        (Good with { RedirectUris = ["https://user@ok.example/"] },
            "Redirect URI: 'https://user@ok.example/' is not an absolute URL without fragment and user name"),
        (Good with { RedirectUris = ["https://@ok.example/"] }, "Redirect URI: 'https://@ok.example/' is not an absolute URL without"),
        (Good with { RedirectUris = ["com.example.app://me@ok.example/"] }, "Redirect URI: 'com.example.app://me@ok.example/' is not an absolute URL without"),
        (Good with { Scopes = ["jobs:read", "everything"] }, "The scope everything does not exist; there are: jobs:read applications:read"),
        (Good with { AuthMethods = ["none"] }, "The auth method none is not known"),
        (Good with { AuthMethods = ["client_secret_post", "private_key_jwt"] }, "The auth method private_key_jwt is not known"),
        (Good with { IsPublic = true }, "A public client has no secret, so it must use PKCE: leave --no-pkce out."),
    ];

    private static readonly (ClientChange Change, string Expected)[] RefusedChanges =
    [
        (new(Name: ""), "--name is empty."),
        (new(RedirectUris: ["http://example.com/"]), "Redirect URI: 'http://example.com/' must use https"),
        (new(RedirectUris: ["https://ok.example/?code=1"]), "Redirect URI: 'https://ok.example/?code=1' has the parameter code"),
        (new(Scopes: ["everything"]), "The scope everything does not exist"),
        (new(AuthMethods: ["none"]), "A client cannot change between public and confidential: add a new one."),
        (new(AuthMethods: ["private_key_jwt"]), "The auth method private_key_jwt is not known"),
    ];

    [Fact]
    public async Task Add_refuses_what_could_not_work_with_a_sentence()
    {
        Assert.Null((await clients.AddAsync(Good)).Problem);
        foreach (var (client, expected) in RefusedClients)
        {
            var (issued, problem) = await clients.AddAsync(client);
            Assert.Null(issued);
            Assert.StartsWith(expected, problem, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Update_refuses_what_could_not_work_and_changes_nothing()
    {
        await clients.AddAsync(Good with { Id = "unchanged" });
        var before = await TextAsync("unchanged");
        foreach (var (change, expected) in RefusedChanges)
        {
            Assert.StartsWith(expected, await clients.UpdateAsync("unchanged", change), StringComparison.Ordinal);
        }

        Assert.Equal(before, await TextAsync("unchanged"));
        Assert.StartsWith("There is no client with the id nobody", await clients.UpdateAsync("nobody", new ClientChange(Name: "n")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Update_of_a_public_client_cannot_take_PKCE_away()
    {
        await clients.AddAsync(Good with { Id = "public", IsPublic = true, NoPkce = false });
        Assert.StartsWith(
            "A public client has no secret, so it must use PKCE", await clients.UpdateAsync("public", new ClientChange(RequirePkce: false)),
            StringComparison.Ordinal);
        Assert.Equal("A public client has no secret.", (await clients.RotateSecretAsync("public")).Problem);
    }

    /// <summary>What was registered when the rules were others must not stand in the way of switching the client off.</summary>
    [Fact]
    public async Task Update_asks_only_about_what_it_changes()
    {
        await clients.AddAsync(Good with { Id = "older" });
        await fixture.App.Database.ExecuteAsync(
            "UPDATE gpt_clients SET redirect_uris = '{https://ok.example/?code=1}', scopes = '{no:longer}' WHERE client_id = 'older'");

        Assert.Null(await clients.UpdateAsync("older", new ClientChange(IsDisabled: true)));
        Assert.Null(await clients.UpdateAsync("older", new ClientChange(Name: "New name")));
        Assert.StartsWith(
            "Redirect URI:", await clients.UpdateAsync("older", new ClientChange(RedirectUris: ["https://ok.example/?code=1"])), StringComparison.Ordinal);
    }

    private Task<string?> TextAsync(string id) => fixture.App.Database.ScalarAsync<string>("SELECT c::text FROM gpt_clients c WHERE client_id = $1", id);
}
