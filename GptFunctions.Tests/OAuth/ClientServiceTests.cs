using GptFunctions.OAuth;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

/// <summary>oauth.md, "Clients by command": what may be registered, and the sentence for what may not.</summary>
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
        (Good with { Scopes = ["jobs:read", "everything"] }, "The scope everything does not exist; there are: jobs:read applications:read"),
        (Good with { AuthMethods = ["none"] }, "The auth method none is not known"),
        (Good with { AuthMethods = ["client_secret_post", "private_key_jwt"] }, "The auth method private_key_jwt is not known"),
        (Good with { IsPublic = true }, "A public client has no secret, so it must use PKCE: leave --no-pkce out."),
    ];

    private static readonly (ClientChange Change, string Expected)[] RefusedChanges =
    [
        (new(Name: ""), "--name is empty."),
        (new(RedirectUris: ["http://example.com/"]), "Redirect URI: 'http://example.com/' must use https"),
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
        Assert.StartsWith("A public client has no secret, so it must use PKCE", await clients.UpdateAsync("public", new ClientChange(RequirePkce: false)), StringComparison.Ordinal);
        Assert.Equal("A public client has no secret.", (await clients.RotateSecretAsync("public")).Problem);
    }

    private Task<string?> TextAsync(string id) => fixture.App.Database.ScalarAsync<string>("SELECT c::text FROM gpt_clients c WHERE client_id = $1", id);
}
