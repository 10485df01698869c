using GptFunctions.OAuth;
using GptFunctions.Tokens;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Configuration.Memory;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace GptFunctions.Development;

/// <summary>
/// Working values for Development, below every other source of settings. Keys and the demo client's secret that no setting gives are made once and
/// kept in <c>.local/development.env</c>, so that tokens survive a restart. In Production none of this exists.
/// </summary>
internal static class DevelopmentDefaults
{
    /// <summary>As whom somebody signs in at /dev/sign-in to see /operations, unless OPERATORS says otherwise.</summary>
    public const string Operator = "operator";

    private const string FileName = "development.env";

    private static readonly Dictionary<string, Func<string>> Generated = new(StringComparer.Ordinal)
    {
        ["GPT_EC_PRIVATE_KEY"] = SigningKey.Generate,
        ["GPT_REFRESH_KEY"] = NewKey,
        ["GPT_CLIENT_SECRET"] = Secret.New,
    };

    public static void Add(IHostApplicationBuilder builder)
    {
        var baseUrl = builder.Configuration["PUBLIC_BASE_URL"] ?? $"http://127.0.0.1:{builder.Configuration["PORT"] ?? "7071"}";
        var defaults = new Dictionary<string, string?>(ReadOrCreate(LocalDirectory(), builder.Configuration), StringComparer.OrdinalIgnoreCase)
        {
            ["PUBLIC_BASE_URL"] = baseUrl,
            ["GPT_CLIENT_ID"] = "demo-gpt",
            ["GPT_CLIENT_NAME"] = "Demo GPT",
            ["GPT_CLIENT_REGISTRATION"] = "true",
            ["GPT_REDIRECT_URI"] = baseUrl + "/dev/callback",
        };
        if (string.IsNullOrEmpty(builder.Configuration["CLERK_ISSUER"]))
        {
            defaults["OPERATORS"] = Operator; // at a provider this could be anybody's id
        }

        foreach (var (name, value) in DevelopmentCheckout.IsAsked ? DevelopmentCheckout.Read(builder.Configuration) : [])
        {
            defaults[name] = value;
        }

        builder.Configuration.Sources.Insert(0, new MemoryConfigurationSource { InitialData = defaults });
    }

    /// <summary><c>.local</c> beside Functions.sln when this runs inside a checkout, else below the working directory.</summary>
    public static string LocalDirectory()
    {
        for (var directory = new DirectoryInfo(Environment.CurrentDirectory); directory is not null; directory = directory.Parent)
        {
            if (File.Exists(Path.Combine(directory.FullName, "Functions.sln")))
            {
                return Path.Combine(directory.FullName, ".local");
            }
        }

        return Path.Combine(Environment.CurrentDirectory, ".local");
    }

    /// <summary>
    /// Writes a file that only its owner may read. Several processes may do so at once: a whole file is moved into place, and unless it overwrites,
    /// the first one stays.
    /// </summary>
    public static void Write(string path, string text, bool overwrite)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var draft = $"{path}.{Guid.NewGuid():N}";
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        using (var writer = new StreamWriter(draft, options))
        {
            writer.Write(text);
        }

        try
        {
            File.Move(draft, path, overwrite);
        }
        catch (IOException) when (!overwrite && File.Exists(path))
        {
            File.Delete(draft);
        }
    }

    /// <summary>
    /// The generated values that the settings lack, from the file; those that it lacks too are added. When nothing is lacking the file is left
    /// alone.
    /// </summary>
    private static Dictionary<string, string?> ReadOrCreate(string directory, IConfiguration configuration)
    {
        var lacking = Generated.Keys.Where(name => string.IsNullOrEmpty(configuration[name])).ToList();
        if (lacking.Count == 0)
        {
            return [];
        }

        var path = Path.Combine(directory, FileName);
        var kept = Read(path);
        var added = lacking.Where(name => !kept.ContainsKey(name)).ToDictionary(name => name, name => (string?)Generated[name](), StringComparer.Ordinal);
        if (added.Count == 0)
        {
            return kept;
        }

        try
        {
            Write(path, string.Concat(kept.Concat(added).Select(value => $"{value.Key}={value.Value}\n")), overwrite: kept.Count > 0);
            return Read(path); // another process may have been faster
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            var names = string.Join(", ", added.Keys);
            throw new OptionsValidationException(
                "", typeof(OAuthSettings),
                [$"{names}: Development makes what is missing and keeps it in {path}, but that could not be written ({error.Message.TrimEnd('.')}): set "
                    + $"{names}, or start in a directory where files may be written."]);
        }
    }

    /// <summary>The lines <c>NAME=value</c> of a file; none where there is no file.</summary>
    public static Dictionary<string, string?> Read(string path) => File.Exists(path)
        ? File.ReadAllLines(path).Select(line => line.Split('=', 2)).Where(parts => parts.Length == 2 && !parts[0].StartsWith('#'))
            .ToDictionary(parts => parts[0], parts => (string?)parts[1], StringComparer.Ordinal)
        : [];

    private static string NewKey() => Convert.ToBase64String(System.Security.Cryptography.RandomNumberGenerator.GetBytes(32));
}
