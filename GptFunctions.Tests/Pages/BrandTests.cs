using System.Net;
using System.Text;
using GptFunctions.Pages;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Pages;

/// <summary>pages.md 1 to 3: whose service it is, as the settings say it; what is not fit for people's eyes stops the start.</summary>
public sealed class BrandTests(AppFixture<BrandTests> fixture) : IClassFixture<AppFixture<BrandTests>>
{
    private const string Svg =
        """<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><script>alert(1)</script><rect width="9" height="9"/></svg>""";
    private readonly TestApp app = fixture.App;

    /// <summary>Figures that every WCAG tool shows for these pairs.</summary>
    [Theory]
    [InlineData("#000000", "#ffffff", 21.0)]
    [InlineData("#767676", "#ffffff", 4.54)]
    [InlineData("#777777", "#ffffff", 4.47)]
    [InlineData("#1a56c4", "#1a56c4", 1.0)]
    public void Contrast_is_that_of_WCAG(string one, string other, double expected) =>
        Assert.Equal(expected, Color.Parse(one)!.Value.Contrast(Color.Parse(other)!.Value), 0.01);

    [Theory]
    [InlineData("#1a56c4")]
    [InlineData("#000000")]
    [InlineData("#06c")]
    [InlineData("#7a1fa2 #e1bee7")]
    public void Color_with_enough_contrast_is_readable_in_light_and_in_dark(string setting)
    {
        var (colors, problem) = BrandColors.Read(setting);
        Assert.Null(problem);
        Assert.True(colors!.Light.Contrast >= 4.5, $"{colors.Light.Contrast}");
        Assert.True(colors.Dark.Contrast >= 4.5, $"{colors.Dark.Contrast}");
        Assert.Contains($"--accent:{colors.Dark.Accent}", colors.Sheet, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("#ffcc00", "#ffcc00 has a contrast of 1.", "in light mode", "take a darker tone, such as #")]
    [InlineData("#ffffff", "contrast of 1.0:1", "in light mode", "take a darker tone")]
    [InlineData("#767676", "#767676 has a contrast of ", "in light mode", "(4.")] // enough on white, and not on its own tint
    [InlineData("#1a56c4 #1a56c4", "#1a56c4 has a contrast of 2.", "in dark mode", "take a lighter tone, such as #")]
    [InlineData("blue", "BRAND_COLOR must be a colour such as #1a56c4", "", "")]
    [InlineData("#1a56c4 #ffffff #000000", "two separated by a space", "", "")]
    [InlineData("#12345", "BRAND_COLOR must be", "", "")]
    [InlineData("#-12345", "BRAND_COLOR must be", "", "")]
    public void Color_that_cannot_be_read_on_a_page_is_refused_with_its_contrast_and_a_better_one(string setting, params string[] parts)
    {
        var (colors, problem) = BrandColors.Read(setting);
        Assert.Null(colors);
        Assert.All(parts, part => Assert.Contains(part, problem, StringComparison.Ordinal));
    }

    /// <summary>What the message recommends is taken.</summary>
    [Fact]
    public void Tone_that_is_recommended_for_any_color_has_enough_contrast()
    {
        for (var value = 0; value < 1 << 24; value += 4_321)
        {
            var color = new Color((byte)(value >> 16), (byte)(value >> 8), (byte)value);
            Assert.True(new Tones(color, BrandColors.LightCard).Readable(Color.Black).Contrast >= 4.5, color.ToString());
            Assert.True(new Tones(color, BrandColors.DarkCard).Readable(Color.White).Contrast >= 4.5, color.ToString());
        }
    }

    /// <summary>The contrast is reckoned with the cards that the sheet has.</summary>
    [Fact]
    public void Cards_are_those_of_the_style_sheet()
    {
        Assert.Contains("--card:#fff;", PageStyle.Sheet, StringComparison.Ordinal);
        Assert.Equal(Color.White, BrandColors.LightCard);
        Assert.Contains($"--card:{BrandColors.DarkCard};", PageStyle.Sheet, StringComparison.Ordinal);
    }

    [Fact]
    public void Settings_that_are_wrong_are_refused_together()
    {
        var settings = new BrandSettings { Name = "Exam\u202Eple", Color = "#ffff00", Logo = "/nowhere/logo.png" };
        var problems = settings.Problems(isProduction: true).ToList();
        Assert.Equal(3, problems.Count);
        Assert.Contains("BRAND_NAME holds U+202E", problems[0], StringComparison.Ordinal);
        Assert.Contains("BRAND_LOGO: /nowhere/logo.png cannot be read", problems[2], StringComparison.Ordinal);
        Assert.Empty(new BrandSettings { Logo = "/nowhere/logo.png", IsLogoServed = false }.Problems(isProduction: true));
        Assert.Empty(new BrandSettings().Problems(isProduction: true));
    }

    [Theory]
    [InlineData("text", "is not a PNG, JPEG, WebP or SVG picture")]
    [InlineData("<html><svg/></html>", "is not a PNG")]
    [InlineData("<svg/>", "is not a PNG")] // of no namespace: browsers show nothing
    [InlineData("", "is not a PNG")]
    public async Task Logo_that_is_no_picture_is_refused(string content, string expected) =>
        Assert.Contains(expected, BrandLogo.Read(await WriteAsync("logo.png", Encoding.UTF8.GetBytes(content))).Problem, StringComparison.Ordinal);

    [Fact]
    public async Task Logo_that_is_too_large_is_refused() => Assert.Contains(
        "has 262145 bytes, at most 262144", BrandLogo.Read(await WriteAsync("logo.svg", new byte[262_145])).Problem, StringComparison.Ordinal);

    [Theory]
    [InlineData("89504E470D0A1A0A00", "image/png")]
    [InlineData("FFD8FFE000", "image/jpeg")]
    [InlineData("524946460000000057454250565038", "image/webp")]
    public async Task Logo_is_what_its_content_says(string hex, string type) =>
        Assert.Equal(type, BrandLogo.Read(await WriteAsync("logo.svg", Convert.FromHexString(hex))).Logo!.ContentType);

    [Fact]
    public async Task Logo_is_served_for_good_under_its_version_and_can_do_nothing_by_itself()
    {
        await using var own = await StartAsync(("BRAND_LOGO", await WriteAsync("mark.svg", Encoding.UTF8.GetBytes(Svg))), ("BRAND_NAME", "Example"));
        using var page = await own.Http.GetAsync(new Uri("/", UriKind.Relative));
        var html = await page.Content.ReadAsStringAsync();
        var url = html.Split("<img src=\"")[1].Split('"')[0];
        using var logo = await own.Http.GetAsync(new Uri(url, UriKind.Relative));
        using var stale = await own.Http.GetAsync(new Uri("/brand/logo?v=before", UriKind.Relative));
        using var known = new HttpRequestMessage(HttpMethod.Get, new Uri(url, UriKind.Relative)) { Headers = { IfNoneMatch = { logo.Headers.ETag! } } };
        using var unchanged = await own.Http.SendAsync(known);
        using var head = await own.Http.SendAsync(new HttpRequestMessage(HttpMethod.Head, new Uri(url, UriKind.Relative)));

        Assert.Contains("alt=\"Example\"", html, StringComparison.Ordinal);
        Assert.Contains("img-src 'self' data:", Assert.Single(page.Headers.GetValues("Content-Security-Policy")), StringComparison.Ordinal);
        Assert.Equal("image/svg+xml", logo.Content.Headers.ContentType!.ToString());
        Assert.Equal(Svg, await logo.Content.ReadAsStringAsync());
        Assert.Equal("nosniff", Assert.Single(logo.Headers.GetValues("X-Content-Type-Options")));
        var policy = Assert.Single(logo.Headers.GetValues("Content-Security-Policy"));
        Assert.Contains("default-src 'none'", policy, StringComparison.Ordinal);
        Assert.Contains("sandbox", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("script", policy, StringComparison.Ordinal);
        Assert.Equal("public, max-age=31536000, immutable", logo.Headers.GetValues("Cache-Control").Single());
        Assert.Equal(TimeSpan.FromMinutes(1), stale.Headers.CacheControl!.MaxAge);
        Assert.Equal(HttpStatusCode.NotModified, unchanged.StatusCode);
        Assert.Equal((HttpStatusCode.OK, Svg.Length), (head.StatusCode, (int)head.Content.Headers.ContentLength!));
    }

    [Fact]
    public async Task Logo_that_is_not_set_is_404()
    {
        using var answer = await app.Http.GetAsync(new Uri("/brand/logo", UriKind.Relative));
        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType!.MediaType);
    }

    /// <summary>The company is on each page, in each state: its name, its colour, its links.</summary>
    [Fact]
    public async Task Pages_show_the_brand()
    {
        await using var own = await StartAsync(
            ("BRAND_NAME", "Exämple & Söhne <b>"), ("BRAND_COLOR", "#7a1fa2"), ("BRAND_PRIVACY_URL", "https://www.example.com/privacy?a=1&b=\"2\""),
            ("BRAND_TERMS_URL", "https://www.example.com/terms"), ("BRAND_SUPPORT_URL", "mailto:help@example.com"));
        var client = await OAuthFlow.AddClientAsync(app, name: "Coach");
        using var consent = await new TestBrowser(own.Http).SignInAsync("user_brand", OAuthFlow.Parameters(client));
        using var error = await own.Http.GetAsync(new Uri("/oauth/authorize?client_id=nobody", UriKind.Relative));

        foreach (var page in (HttpResponseMessage[])[consent, error])
        {
            var html = await page.Content.ReadAsStringAsync();
            Assert.Contains("--accent:#7a1fa2", html, StringComparison.Ordinal);
            Assert.DoesNotContain("Söhne <b>", html, StringComparison.Ordinal);
            var text = WebUtility.HtmlDecode(html);
            Assert.Contains("<bdi>Exämple & Söhne <b></bdi>", text, StringComparison.Ordinal);
            Assert.Contains("<a href=\"https://www.example.com/privacy?a=1&b=\"2\"\">Privacy</a>", text, StringComparison.Ordinal);
            Assert.Contains("<a href=\"https://www.example.com/terms\">Terms</a>", text, StringComparison.Ordinal);
            Assert.Contains("<a href=\"mailto:help@example.com\">Help</a>", text, StringComparison.Ordinal);
        }

        Assert.Contains(
            "<bdi>Coach</bdi> wants to connect to your <bdi>Exämple & Söhne <b></bdi> account", WebUtility.HtmlDecode(
                await consent.Content.ReadAsStringAsync()),
            StringComparison.Ordinal);
        Assert.Contains("<a href=\"mailto:help@example.com\">Get help</a>", await error.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pages_without_a_brand_are_neutral_and_complete()
    {
        var client = await OAuthFlow.AddClientAsync(app, name: "Coach");
        using var consent = await new TestBrowser(app.Http).SignInAsync("user_neutral", OAuthFlow.Parameters(client));
        var html = await consent.Content.ReadAsStringAsync();

        Assert.Contains("<bdi>Coach</bdi> wants to connect to your account", html, StringComparison.Ordinal);
        Assert.DoesNotContain("class=\"brand\"", html, StringComparison.Ordinal);
        Assert.DoesNotContain("<footer>", html, StringComparison.Ordinal);
        Assert.DoesNotContain("<img", html, StringComparison.Ordinal);
    }

    private Task<TestApp> StartAsync(params (string Name, string? Value)[] settings) =>
        app.StartReplicaAsync([.. settings, ("PUBLIC_BASE_URL", app.BaseUrl)]);

    private static async Task<string> WriteAsync(string name, byte[] content)
    {
        var path = Path.Combine(Directory.CreateTempSubdirectory("brand").FullName, name);
        await File.WriteAllBytesAsync(path, content);
        return path;
    }
}
