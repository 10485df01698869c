using System.Net;
using GptFunctions.Data;
using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.OAuth;
using GptFunctions.Pages;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Pages;

/// <summary>pages.md 8 to 10: names from outside are text that stays where it stands, whatever way they came in.</summary>
public sealed class NameTests(AppFixture<NameTests> fixture) : IClassFixture<AppFixture<NameTests>>
{
    private readonly TestApp app = fixture.App;

    /// <summary>What people have tried elsewhere: markup, what ends an attribute, text that turns round, what nobody sees, far too much.</summary>
    public static TheoryData<string> Hostile =>
    [
        "<script>alert(1)</script>", "</title></style><img src=x onerror=alert(1)>", "\" onfocus=\"alert(1)\" autofocus=\"", "' onmouseover='alert(1)",
        "&lt;b&gt;", "javascript:alert(1)", "{{7*7}}${7*7}@(7*7)", "\u202Emoc.elpmaxe", "\u2067rtl\u2069\u2066", "a\u200Bb\u2060c\uFEFF",
        "line\r\nSet-Cookie: a=b",
        "nul\u0000bel\u0007esc\u001B[31m", "مرحبا \u202B(admin)\u202C", "\uD800 half", "e" + new string('\u0301', 300),
        new string('W', 10_000), "👩‍👩‍👧",
        "\u2068open", "close\u2069",
    ];

    [Theory]
    [InlineData("Résumé Coach 日本", "Résumé Coach 日本")]
    [InlineData(" \u202E x \t", "x")]
    [InlineData("a\u00ADb\u061Cc\u2028d\uE000e", "abcde")]
    [InlineData("\u200B", "")]
    [InlineData("\uD83D\uDE00", "\uD83D\uDE00")]
    public void Clean_leaves_what_people_see(string text, string expected) => Assert.Equal(expected, DisplayText.Clean(text));

    [Fact]
    public void Clean_cuts_between_characters()
    {
        Assert.Equal(new string('a', 99) + "…", DisplayText.Clean(new string('a', 101), 100));
        Assert.Equal(new string('a', 98) + "…", DisplayText.Clean(new string('a', 98) + "\uD83D\uDE00\uD83D\uDE00", 100));
        Assert.Equal(100, DisplayText.Clean("e" + new string('\u0301', 300), 100).Length);
        Assert.Equal(new string('a', 100), DisplayText.Clean(new string('a', 100), 100));
    }

    [Theory]
    [MemberData(nameof(Hostile))]
    public void Name_holds_nothing_that_turns_or_hides_text(string text)
    {
        Name name = text;
        Assert.True(name.Text.Length <= DisplayText.MaximumName);
        Assert.DoesNotContain(name.Text, character => char.IsControl(character) || character is >= '\u202A' and <= '\u202E' or >= '\u2060' and <= '\u206F');
        Assert.Equal($"\u2068{name.Text}\u2069", name.ToString());
    }

    /// <summary>Operators are told, clients by registration are cleaned, and what is there already is shown so that it does no harm.</summary>
    [Theory]
    [MemberData(nameof(Hostile))]
    public async Task Name_that_stands_in_a_row_is_shown_safely(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var client = await OAuthFlow.AddClientAsync(app, name: "Before");
        var stored = text.Replace("\0", "", StringComparison.Ordinal).Replace("\uD800", "", StringComparison.Ordinal);
        await app.Database.ExecuteAsync(
            $"UPDATE gpt_clients SET name = '{stored.Replace("'", "''", StringComparison.Ordinal)}' WHERE client_id = '{client.Id}'");
        var browser = new TestBrowser(app.Http);
        using var page = await browser.SignInAsync("user_reader", OAuthFlow.Parameters(client));
        var html = await page.Content.ReadAsStringAsync();
        Name shown = stored;

        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        Assert.Contains($"<bdi>{shown.Text}</bdi> wants to connect", WebUtility.HtmlDecode(html), StringComparison.Ordinal);
        foreach (var harm in (string[])["<script", "<img", "\u202E", "\u202B", "\u2067", "\u2066", "\u200B", "\uFEFF", "\u0007", "\u001B"])
        {
            Assert.DoesNotContain(harm, WebUtility.HtmlDecode(html.Replace("&lt;", "", StringComparison.Ordinal)), StringComparison.Ordinal);
        }

        Assert.DoesNotContain(new string('W', 101), html, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Coach\u202Etpg", "--name holds U+202E")]
    [InlineData("Coach\n", "--name holds U+000A")]
    [InlineData("  ", "--name is empty")]
    public async Task Operators_are_told_what_is_wrong_with_a_name(string name, string expected)
    {
        var service = app.Get<ClientService>();
        var (_, problem) = await service.AddAsync(new NewClient(name, null, false, [], ["https://client.example/"], [], [], true));
        var client = await OAuthFlow.AddClientAsync(app);

        Assert.Contains(expected, problem, StringComparison.Ordinal);
        Assert.Contains(expected, await service.UpdateAsync(client.Id, new ClientChange(name)), StringComparison.Ordinal);
        Assert.Contains("--name is longer than 100", await service.UpdateAsync(client.Id, new ClientChange(new string('n', 101))), StringComparison.Ordinal);
        // Whatever its name is, a client can be disabled.
        await app.Database.ExecuteAsync($"UPDATE gpt_clients SET name = E'bad\\u202Ename' WHERE client_id = '{client.Id}'");
        Assert.Null(await service.UpdateAsync(client.Id, new ClientChange(IsDisabled: true)));
    }

    /// <summary>A display name is cleaned; an address that hides something is none.</summary>
    [Theory]
    [InlineData("Ada\u202E ecalevoL", "ada@example.com", "Ada ecalevoL", "ada@example.com")]
    [InlineData("\u200B", "ada\u200B@example.com", null, null)]
    [InlineData("Ada", "ada\n@example.com", "Ada", null)]
    public void Names_and_addresses_of_webhooks_hold_nothing_that_turns_text(string name, string email, string? expectedName, string? expectedEmail)
    {
        Assert.Equal(expectedName, DisplayText.NameOf(name));
        Assert.Equal(expectedEmail, Person.Shown(email));
        Assert.Null(Person.Shown(new string('a', 256)));
    }

    [Fact]
    public void Setup_refuses_a_client_name_that_turns_text()
    {
        var settings = new OAuthSettings { ClientName = "Jobs\u202Etpg" };
        Assert.Contains(settings.Problems(isProduction: false), problem => problem.StartsWith("GPT_CLIENT_NAME holds U+202E", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Migration_brings_names_of_before_to_the_rule()
    {
        await using var database = await TestDatabase.CreateAsync("names_of_before", isMigrated: false);
        Migration[] before = [.. Migrator.Embedded.Where(migration => migration.Version < 28)];
        await new Migrator(database.Source, before).ApplyAsync(default);
        await database.ExecuteAsync("""
            INSERT INTO gpt_clients (client_id, name, kind, auth_methods, redirect_uris, scopes, require_pkce, created_at)
            SELECT id, name, 'confidential', '{client_secret_post}', '{https://client.example/}', '{jobs:read}', false, now()
            FROM (VALUES ('turned', E'Coach\u202Egpt'), ('good', 'Résumé Coach 日本 😀'), ('nothing', E'\u200B\u2060'),
                         ('long', repeat('n', 5000))) AS row (id, name);
            INSERT INTO users (id, clerk_user_id, name, email, created_at)
            VALUES (gen_random_uuid(), 'user_turned', E'Ada\u2067\n', E'ada\u200B@example.com', now()),
                   (gen_random_uuid(), 'user_good', 'Ada', 'ada@example.com', now());
            """);
        await new Migrator(database.Source, [.. Migrator.Embedded]).ApplyAsync(default);

        Assert.Equal(
            $"good=Résumé Coach 日本 😀, long={new string('n', 100)}, nothing=nothing, turned=Coachgpt",
            await database.ScalarAsync<string>("SELECT string_agg(client_id || '=' || name, ', ' ORDER BY client_id) FROM gpt_clients"));
        Assert.Equal(
            "user_good=Ada ada@example.com, user_turned=Ada -",
            await database.ScalarAsync<string>(
                "SELECT string_agg(clerk_user_id || '=' || name || ' ' || coalesce(email, '-'), ', ' ORDER BY clerk_user_id) FROM users"));
    }
}
