using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Configuration.Memory;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.OAuth;

/// <summary>
/// Working values for Development, below every other source of settings. Keys and the demo client's secret are made once and
/// kept in <c>.local/development.env</c>, so that tokens survive a restart. In Production none of this exists.
/// </summary>
internal static class DevelopmentDefaults
{
    private const string FileName = "development.env";

    public static void Add(IHostApplicationBuilder builder)
    {
        if (!builder.Environment.IsDevelopment())
        {
            return;
        }

        var baseUrl = builder.Configuration["PUBLIC_BASE_URL"] ?? $"http://127.0.0.1:{builder.Configuration["PORT"] ?? "7071"}";
        var defaults = new Dictionary<string, string?>(ReadOrCreate(LocalDirectory()), StringComparer.OrdinalIgnoreCase)
        {
            ["PUBLIC_BASE_URL"] = baseUrl,
            ["GPT_CLIENT_ID"] = "demo-gpt",
            ["GPT_CLIENT_NAME"] = "Demo GPT",
            ["GPT_CLIENT_REGISTRATION"] = "true",
            ["GPT_REDIRECT_URI"] = baseUrl + "/dev/callback",
        };
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

    /// <summary>Writes a file that only its owner may read. Several processes may do so at once: a whole file is moved into place, and unless it overwrites, the first one stays.</summary>
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

    private static Dictionary<string, string?> ReadOrCreate(string directory)
    {
        var path = Path.Combine(directory, FileName);
        if (!File.Exists(path))
        {
            Write(path, $"GPT_EC_PRIVATE_KEY={SigningKey.Generate()}\nGPT_REFRESH_KEY={NewKey()}\nGPT_CLIENT_SECRET={Secret.New()}\n", overwrite: false);
        }

        return File.ReadAllLines(path).Select(line => line.Split('=', 2)).Where(parts => parts.Length == 2).ToDictionary(parts => parts[0], parts => (string?)parts[1], StringComparer.Ordinal);
    }

    private static string NewKey() => Convert.ToBase64String(System.Security.Cryptography.RandomNumberGenerator.GetBytes(32));
}
